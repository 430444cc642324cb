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


def document(collection: Collection) -> None:
    """Write the short table and the table of all figures into docs/textbook.md."""
    page = FOLDER.parent / "docs" / "textbook.md"
    put(page, "sentences", short_table(results(collection), collection.words))
    put(page, "results", every_figure(collection))


def short_table(sentences: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[str]:
    """Return one row per sentence: its name, the sentence, and its verdict with the conditions."""
    lines = ["| name | sentence | verdict |", "|---|---|---|"]
    for sentence in sentences:
        verdict = f"**{words[sentence['verdict']]}**"
        if sentence["verdict"] == "PARTIAL":
            verdict += _conditions(sentence["criteria"])
        lines.append(f"| `{sentence['claim']}` | {sentence['statement']} | {verdict} |")
    return lines


def split(figure: str) -> tuple[str, str]:
    """Split a figure's name at its first colon, into the condition and what is measured."""
    condition, _, quantity = figure.partition(": ")
    return condition, quantity


def _conditions(criteria: Sequence[Mapping[str, Any]]) -> str:
    """List the conditions under which a sentence holds, then those under which it does not.

    A criterion that the null arm meets too does not count.
    """
    holds = [split(criterion["figure"])[0] for criterion in criteria if criterion["good"]]
    fails = [
        split(criterion["figure"])[0] + (" (null arm too)" if criterion["met"] else "")
        for criterion in criteria
        if not criterion["good"]
    ]
    return f"; holds: {'; '.join(holds)}; does not: {'; '.join(fails)}"


if __name__ == "__main__":
    raise SystemExit(main(TEXTBOOK, document))
