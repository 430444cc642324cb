"""How groups are carried out: interrupted, resumed, out of memory, without their directory."""

import json
import shutil

import jax
import numpy as np
import pytest

import jcnn
from jcnn import engine, models
from jcnn.study import Study, runner
from jcnn.study.storage.atomic_files import StorageError
from jcnn.study.storage.ledger import Ledger
from tests.small import SMALL, STUDY_OF_DIGITS, blobs, runs_loaded, study


def test_an_interrupted_study_keeps_finished_groups(tmp_path):
    def stop(event):
        if event.runs_done > 1.5:
            raise KeyboardInterrupt

    study = Study(
        data=blobs(),
        model=models.mlp,
        factors={"activation": ["tanh", "relu"]},
        epochs=2,
        seeds=1,
        learning_rates=[0.1],
        batch_size=32,
    )
    with pytest.raises(KeyboardInterrupt):
        study.run(tmp_path / "x", on_progress=stop)
    assert len(Ledger(tmp_path / "x").runs()) == 1
    found = study.run(tmp_path / "x")
    assert found.environment["runs_loaded"] == 1
    assert [r.outcome for r in found.records] == [r.outcome for r in study.run().records]


def small_memory(monkeypatch, most):
    """Devices that hold `most` runs: training more of them is out of memory halfway."""
    whole = engine.Training.run

    def run(self):
        for done in whole(self):
            if len(self.outcomes) > most and done > 0:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
            yield done

    monkeypatch.setattr(engine.Training, "run", run)


def test_a_group_that_does_not_fit_is_halved_and_says_so(monkeypatch, tmp_path):
    study = Study(factors={"activation": ["tanh"], "hidden": [(8,)]}, model="mlp", **SMALL)
    whole = study.run()
    assert not whole.notes
    small_memory(monkeypatch, 1)
    found = study.run(tmp_path / "out")
    assert len(found.notes) == 2  # the group of 4, and the halves of 2
    assert "tanh 8: 4 runs together did not fit" in found.notes[0]
    assert json.loads((tmp_path / "out" / "environment.json").read_text())["notes"] == found.notes
    for one, other in zip(whole.records, found.records, strict=True):
        assert (one.combination, one.learning_rate, one.seed) == (
            other.combination,
            other.learning_rate,
            other.seed,
        )
        np.testing.assert_allclose(
            one.outcome.curves["train_loss"], other.outcome.curves["train_loss"], rtol=1e-4
        )
    small_memory(monkeypatch, 0)
    with pytest.raises(ValueError, match="a single run of tanh 8 does not fit"):
        study.run()


def test_only_what_is_missing_is_trained(tmp_path):
    assert runs_loaded(tmp_path) == (0, 4)
    assert runs_loaded(tmp_path) == (4, 4)
    three = {"activation": ["relu", "gelu", "tanh"], "hidden": [(4,)]}
    assert runs_loaded(tmp_path, factors=three) == (4, 6)
    assert runs_loaded(tmp_path, factors=three, seeds=3) == (6, 9)
    assert runs_loaded(tmp_path, learning_rates=[0.03, 0.1]) == (4, 8)
    assert runs_loaded(tmp_path, factors={"activation": ["gelu"], "hidden": [(4,)]}) == (2, 2)
    assert runs_loaded(tmp_path) == (4, 4)


def test_an_interrupted_group_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(runner, "CHECKPOINT_SHARE", 1e9)
    one = study(factors={"hidden": [(4,)]}, epochs=4)

    def stop(event):
        if event.runs_done >= 1.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one.run(tmp_path / "x", on_progress=stop)
    ticks = []
    resumed = one.run(tmp_path / "x", on_progress=ticks.append)
    assert ticks[0].runs_done >= 1.0
    assert [r.outcome for r in resumed.records] == [r.outcome for r in one.run().records]
    hidden = tmp_path / "x" / ".unfinished"
    assert not [path for path in hidden.iterdir() if path.is_dir()]


def test_a_directory_that_cannot_be_written_or_goes_away(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot store results in .*choose another directory"):
        study().run(tmp_path / "file" / "x")

    def remove(event):
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)

    with pytest.raises(StorageError, match="gone"):
        study().run(tmp_path / "gone", on_progress=remove)


def test_rates_are_extended_until_the_best_is_inside(tmp_path):
    study = Study(**STUDY_OF_DIGITS | {"learning_rates": [0.001], "extend_learning_rates": True})
    result = study.run(tmp_path)
    rows = result.ranking()
    assert not any(row.at_edge for row in rows)
    assert all(len(row.by_rate) > 2 for row in rows)
    assert rows[0].learning_rate > 0.001
    assert rows[0].mean > 0.7
    again = study.run(tmp_path)
    assert again.environment["runs_loaded"] == len(result.records)
    assert again.environment["runs_trained"] == 0
    assert again.to_json(provenance=False) == result.to_json(provenance=False)
    assert jcnn.study.storage.ledger.Ledger(tmp_path).runs()
