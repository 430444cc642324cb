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


def document(collection: Collection) -> None:
    """Write the short table and the table of criteria into docs/textbook.md."""
    page = FOLDER.parent / "docs" / "textbook.md"
    rows = short_table(load_results(collection), collection.words)
    write_between_marks(page, "sentences", rows)
    write_between_marks(page, "results", criteria_table(collection))


def short_table(results: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    """Return one row per claim: its name, its statement, and its verdict with the conditions."""
    lines = ["| name | sentence | verdict |", "|---|---|---|"]
    for result in results:
        verdict = f"**{words[result['verdict']]}**"
        if result["verdict"] == "PARTIAL":
            verdict += _conditions(result["criteria"])
        lines.append(f"| `{result['claim']}` | {result['statement']} | {verdict} |")
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


if __name__ == "__main__":
    raise SystemExit(main(TEXTBOOK, document))
