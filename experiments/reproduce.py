"""Test published results against criteria and null arms fixed beforehand.

Command: python experiments/reproduce.py --all
Cost: half a minute to 17 min per claim on 2 CPU cores (jax 0.12) that ran other work at the same
time; `--smoke` 2 min.
Result: docs/validation.md.
"""

from pathlib import Path

from harness.command_line import Collection, main
from harness.tables import claims_table, criteria_table, write_between_marks
from papers import CLAIMS

FOLDER = Path(__file__).parent
WORDS = {word: word for word in ("REPRODUCED", "PARTIAL", "DIVERGED", "NOT TESTED")}
PUBLISHED = Collection("Test published results", CLAIMS, WORDS, FOLDER / "results" / "papers")


def document(collection: Collection) -> None:
    """Write the tables of claims and of criteria into docs/validation.md."""
    page = FOLDER.parent / "docs" / "validation.md"
    write_between_marks(page, "claims", claims_table(collection))
    write_between_marks(page, "results", criteria_table(collection))


if __name__ == "__main__":
    raise SystemExit(main(PUBLISHED, document))
