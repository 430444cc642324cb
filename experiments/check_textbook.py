"""A textbook's usual sentences about parts of CNNs, each tried under several conditions.

Command: python experiments/check_textbook.py --all
Cost: about 36 min on 2 CPU cores (jax 0.12; the three on times with no other work beside them, the
others with some), `--smoke` about 1 min.
Result: docs/textbook.md.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.runner import Collection, main
from harness.table import every_figure, put, results
from textbook import SENTENCES

FOLDER = Path(__file__).parent
WORDS = {
    "REPRODUCED": "holds",
    "PARTIAL": "depends",
    "DIVERGED": "does not hold",
    "NOT TESTED": "not tested",
}
TEXTBOOK = Collection(
    "A textbook's sentences, each put to the test",
    SENTENCES,
    WORDS,
    FOLDER / "results" / "textbook",
)
# The short table has so many figures of a sentence, the first of its criteria.
FIGURES = 4


def document(collection: Collection) -> None:
    """Put the table of all figures into its document, and the short one into the README."""
    root = FOLDER.parent
    put(root / "docs" / "textbook.md", "results", every_figure(collection))
    put(root / "README.md", "sentences", short_table(results(collection), collection.words))


def short_table(told: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    """A row a sentence that was tried: its verdict, with what it depends on, and its figures."""
    lines = ["| sentence | verdict | figures |", "|---|---|---|"]
    tried = [one for one in told if one["criteria"]]
    for one in tried:
        verdict = f"**{words[one['verdict']]}**"
        if one["verdict"] == "PARTIAL":
            verdict += _conditions(one["criteria"])
        lines.append(f"| {one['statement']} | {verdict} | {_figures(one['criteria'])} |")
    if len(tried) < len(told):
        lines += ["", f"Not tested so far: {len(told) - len(tried)} of {len(told)} sentences."]
    return lines


def split(figure: str) -> tuple[str, str]:
    """A figure's condition, which stands before the first colon, and what is measured."""
    condition, _, measured = figure.partition(": ")
    return condition, measured


def _conditions(criteria: Sequence[Mapping[str, Any]]) -> str:
    """Where a sentence holds and where not; there too the null arm may meet the criterion."""
    holds = [split(one["figure"])[0] for one in criteria if one["good"]]
    fails = [
        split(one["figure"])[0] + (" (null arm too)" if one["met"] else "")
        for one in criteria
        if not one["good"]
    ]
    return f"; holds: {'; '.join(holds)}; does not: {'; '.join(fails)}"


def _figures(criteria: Sequence[Mapping[str, Any]]) -> str:
    """The first figures with their intervals, those of one kind under one name."""
    kinds: dict[str, list[str]] = {}
    for one in criteria[:FIGURES]:
        condition, kind = split(one["figure"])
        kinds.setdefault(kind, []).append(f"{condition}: {_measured(one)}")
    return "; ".join(f"{kind} ({'; '.join(values)})" for kind, values in kinds.items())


def _measured(one: Mapping[str, Any]) -> str:
    low, high = one["interval"]["low"], one["interval"]["high"]
    spread = "" if low is None else f" [{low:.3g}, {high:.3g}]"
    return ("NaN" if one["mean"] is None else f"{one['mean']:.3g}") + spread


if __name__ == "__main__":
    raise SystemExit(main(TEXTBOOK, document))
