"""Test what textbooks usually say about the parts of CNNs, each claim under several conditions.

Command: python experiments/check_textbook.py --all
Cost: about 36 min on 2 CPU cores (jax 0.12; the three claims about time on an idle machine, the
others next to other work), `--smoke` about 1 min.
Result: docs/textbook.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.command_line import Collection, main
from harness.tables import criteria_table, load_results, write_between_marks
from textbook import CLAIMS

FOLDER = Path(__file__).parent
WORDS = {
    "REPRODUCED": "holds",
    "PARTIAL": "depends",
    "DIVERGED": "does not hold",
    "NOT TESTED": "not tested",
}
TEXTBOOK = Collection("Test textbook claims", CLAIMS, WORDS, FOLDER / "results" / "textbook")
# The number of criteria per claim whose figures are in the short table.
FIGURES = 4


def document(collection: Collection) -> None:
    """Write the table of criteria into docs/textbook.md and the short table into the README."""
    root = FOLDER.parent
    write_between_marks(root / "docs" / "textbook.md", "results", criteria_table(collection))
    rows = short_table(load_results(collection), collection.words)
    write_between_marks(root / "README.md", "sentences", rows)


def short_table(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    """Return a table with one row per tested claim: verdict, conditions and first figures."""
    lines = ["| sentence | verdict | figures |", "|---|---|---|"]
    tested = [result for result in results if result["criteria"]]
    for result in tested:
        verdict = f"**{words[result['verdict']]}**"
        if result["verdict"] == "PARTIAL":
            verdict += _conditions(result["criteria"])
        lines.append(f"| {result['statement']} | {verdict} | {_figures(result['criteria'])} |")
    if len(tested) < len(results):
        untested = len(results) - len(tested)
        lines += ["", f"Not tested so far: {untested} of {len(results)} sentences."]
    return lines


def split(figure: str) -> tuple[str, str]:
    """Split a figure's name at its first colon into the condition and what is measured."""
    condition, _, measured = figure.partition(": ")
    return condition, measured


def _conditions(criteria: Sequence[Mapping[str, Any]]) -> str:
    """List the conditions under which a claim holds, and those under which it does not."""
    holds = [split(criterion["figure"])[0] for criterion in criteria if criterion["good"]]
    fails = [
        split(criterion["figure"])[0] + (" (null arm too)" if criterion["met"] else "")
        for criterion in criteria
        if not criterion["good"]
    ]
    return f"; holds: {'; '.join(holds)}; does not: {'; '.join(fails)}"


def _figures(criteria: Sequence[Mapping[str, Any]]) -> str:
    """Format the first figures with their intervals, grouped by what is measured."""
    groups: dict[str, list[str]] = {}
    for criterion in criteria[:FIGURES]:
        condition, quantity = split(criterion["figure"])
        groups.setdefault(quantity, []).append(f"{condition}: {_measured(criterion)}")
    return "; ".join(f"{quantity} ({'; '.join(values)})" for quantity, values in groups.items())


def _measured(criterion: Mapping[str, Any]) -> str:
    low, high = criterion["interval"]["low"], criterion["interval"]["high"]
    interval = "" if low is None else f" [{low:.3g}, {high:.3g}]"
    return ("NaN" if criterion["mean"] is None else f"{criterion['mean']:.3g}") + interval


if __name__ == "__main__":
    raise SystemExit(main(TEXTBOOK, document))
