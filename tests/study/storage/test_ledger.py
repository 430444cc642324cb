"""The ledger: what is kept, what is damaged, and what is mended."""

import shutil

import numpy as np
import pytest

from jcnn import engine
from jcnn.study.storage.ledger import DAMAGED, NAME, Ledger
from tests.slow import short_first

OUTCOME = engine.Outcome(
    {"train_loss": [1.0, float("nan")]}, {"accuracy": 0.5}, diverged_at=3, steps=6, seconds=0.1
)


def filled(directory, rows=5):
    ledger = Ledger(directory)
    ledger.add([(f"key{i}", {"seed": i}, OUTCOME) for i in range(rows)])
    return ledger


def keys(count):
    return [f"key{i}" for i in range(count)]


def test_a_ledger_gives_back_what_was_added(tmp_path):
    filled(tmp_path)
    kept = Ledger(tmp_path).outcomes([*keys(5), "other"])
    assert list(kept) == keys(5)
    np.testing.assert_equal(kept["key0"].curves, OUTCOME.curves)
    assert (kept["key0"].test, kept["key0"].diverged_at) == (OUTCOME.test, 3)
    Ledger(tmp_path).add([("key0", {}, engine.Outcome())])  # a finished run stays what it is
    assert Ledger(tmp_path).outcomes(["key0"])["key0"].diverged_at == 3


@pytest.mark.parametrize(("header", "every"), short_first([(20, 400), (100, 13)]))
def test_a_ledger_is_mended_whichever_byte_flips(header, every, tmp_path):
    """Each row that is read is one that was written."""
    filled(tmp_path / made(tmp_path, "whole"))
    whole = (tmp_path / "whole" / NAME).read_bytes()
    written = Ledger(tmp_path / "whole").outcomes(keys(5))
    mended = lost = 0
    for place in [*range(header), *range(header, len(whole), every)]:
        directory = tmp_path / made(tmp_path, "flipped")
        content = bytearray(whole)
        content[place] ^= 0xFF
        (directory / NAME).write_bytes(content)
        ledger = Ledger(directory)
        kept = ledger.outcomes(keys(5))
        for key, outcome in kept.items():
            np.testing.assert_equal(vars(outcome), vars(written[key]))
        if ledger.notes:
            assert "was damaged" in ledger.notes[0]
            assert (directory / DAMAGED).read_bytes() == content
            mended += 1
            lost += 5 - len(kept)
        else:
            assert len(kept) == 5, place
        ledger.add([("key0", {"seed": 0}, OUTCOME), ("new", {}, OUTCOME)])
        assert {"key0", "new"} <= set(Ledger(directory).outcomes([*keys(5), "new"]))
        shutil.rmtree(directory)
    assert mended > header / 2
    assert lost > 0


def made(directory, name):
    (directory / name).mkdir()
    return name


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_ledger_is_mended_wherever_it_is_cut(tmp_path, part):
    filled(tmp_path, rows=200)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole[: int(part * len(whole))])
    ledger = Ledger(tmp_path)
    assert "was damaged" in ledger.notes[0]
    kept = ledger.outcomes(keys(200))
    assert len(kept) < 200
    assert (len(kept) > 50) == (part >= 0.5)
    ledger.add([("new", {}, OUTCOME)])
    assert "new" in Ledger(tmp_path).outcomes(["new"])
    assert not Ledger(tmp_path).notes


def test_a_row_that_was_altered_is_not_used(tmp_path):
    import sqlite3

    filled(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as file:
        file.execute("update runs set outcome = replace(outcome, '0.5', '0.9') where key = 'key2'")
    file.close()
    ledger = Ledger(tmp_path)
    assert set(ledger.outcomes(keys(5))) == set(keys(5)) - {"key2"}
    assert "4 runs could be read and were kept" in ledger.notes[0]
