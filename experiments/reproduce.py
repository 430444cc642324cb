"""Published results, each put to the test with criterion and null arm fixed beforehand.

Command: python experiments/reproduce.py --all
Cost: from half a minute to 17 min a claim on 2 CPU cores (jax 0.12) with other work beside it;
`--smoke` 2 min.
Result: docs/validation.md.
"""

from pathlib import Path

from harness.runner import Collection, main
from harness.table import every_figure, put, summary
from papers import CLAIMS

FOLDER = Path(__file__).parent
WORDS = {word: word for word in ("REPRODUCED", "PARTIAL", "DIVERGED", "NOT TESTED")}
PUBLISHED = Collection(
    "Published results, put to the test", CLAIMS, WORDS, FOLDER / "results" / "papers"
)


def document(collection: Collection) -> None:
    """Write the short table and the table of all figures into docs/validation.md."""
    page = FOLDER.parent / "docs" / "validation.md"
    put(page, "claims", summary(collection))
    put(page, "results", every_figure(collection))


if __name__ == "__main__":
    raise SystemExit(main(PUBLISHED, document))
