"""The committed results belong to the claims as the source states them."""

import json
import math
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments"


def finite(bound):
    """A bound as JSON holds it."""
    return bound if math.isfinite(bound) else None


@pytest.mark.parametrize(
    ("script", "collection"), [("reproduce", "PUBLISHED"), ("check_textbook", "TEXTBOOK")]
)
def test_every_claim_has_a_committed_result(monkeypatch, script, collection):
    monkeypatch.syspath_prepend(FOLDER)
    claims = getattr(__import__(script), collection)
    for name, claim in claims.claims.items():
        result = json.loads((claims.results / f"{name}.json").read_text())
        assert (claims.results / f"{name}.svg").exists()
        assert (result["statement"], result["source"]) == (claim.statement, claim.source)
        assert result["verdict"] in claims.words
        expected = [(c.figure, finite(c.low), finite(c.high), c.of) for c in claim.criteria]
        keys = ("figure", "low", "high", "of")
        assert [tuple(c[key] for key in keys) for c in result["criteria"]] == expected
        for criterion in claim.criteria:
            assert criterion.figure in result["figures"]
            assert criterion.null is None or criterion.null in result["figures"]
