"""Early stopping: which weights are kept and tested, when a run stops, and that it resumes."""

import json
import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import engine
from jcnn.analysis.metric import parse_metric
from jcnn.cli import main
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.study import Study, train_one
from jcnn.training.early_stopping import best_epoch
from tests.small import blobs

# Few examples and a network that learns them by heart: validation gets worse after some epochs.
OVERFITS = {
    "data": (*blobs(60, features=8, distance=0.4), *blobs(400, features=8, distance=0.4, seed=1)),
    "model": "mlp",
    "factors": {"hidden": [(64,)], "optimizer": ["adam"]},
    "learning_rates": [0.03],
    "seeds": 3,
    "epochs": 16,
    "batch_size": 16,
    "validation_fraction": 0.4,
    "metric": "loss",
    "full_grid": True,
}


def outcomes(**changed):
    return [record.outcome for record in Study(**OVERFITS | changed).run().records]


def test_runs_stop_after_so_many_epochs_without_a_better_one():
    whole, stopped = outcomes(), outcomes(patience=3)
    assert len({outcome.epochs for outcome in stopped}) > 1  # each run stops by itself
    for full, early in zip(whole, stopped, strict=True):
        curve = full.curves["validation_loss"]
        assert early.epochs < 16
        trained = curve[: early.epochs]
        assert early.best_epoch == np.argmin(trained) + 1
        assert early.epochs == early.best_epoch + 3
        for name, values in early.curves.items():
            assert len(values) == 16
            assert values[: early.epochs] == full.curves[name][: early.epochs]
            best = values[early.best_epoch - 1]
            assert values[early.epochs :] == [best] * (16 - early.epochs)
        assert early.test["loss"] < full.test["loss"]


def test_the_weights_of_the_best_epoch_are_tested():
    """A training that has only so many epochs ends with the same weights."""
    (stopped,) = outcomes(patience=3, seeds=[1])
    (short,) = outcomes(epochs=stopped.best_epoch, seeds=[1])
    assert stopped.test == short.test
    study = Study(**OVERFITS | {"patience": 3, "seeds": [1]})
    kept = train_one(study, 0, 0.03, seed=1)
    last = train_one(
        Study(**OVERFITS | {"epochs": stopped.best_epoch, "seeds": [1]}), 0, 0.03, seed=1
    )
    x = jnp.asarray(OVERFITS["data"][2])
    np.testing.assert_array_equal(kept(x), last(x))


def test_a_run_that_never_stops_has_its_best_weights_too():
    (whole,) = outcomes(seeds=[2])
    (patient,) = outcomes(patience=100, seeds=[2])
    curve = whole.curves["validation_loss"]
    assert (patient.epochs, patient.best_epoch) == (16, np.argmin(curve) + 1)
    assert patient.curves == whole.curves
    assert patient.final("validation_loss") == min(curve)
    assert patient.test != whole.test


@pytest.mark.parametrize("changed", [{}, {"ema_decay": 0.9}, {"diagnose": 2}], ids=str)
def test_every_pause_resumes_to_the_bit(changed, monkeypatch):
    monkeypatch.setattr(engine._training, "FIRST_CALL", 4)
    study = Study(**OVERFITS | {"patience": 2} | changed)
    compiled = study.jobs(study.prepare())[0].compile()
    whole = engine.Training(compiled)
    snapshots = [whole.snapshot(), *(whole.snapshot() for _ in whole.run())]
    assert len({outcome.epochs for outcome in whole.outcomes}) > 1
    for snapshot in snapshots[::3]:
        plain = json.loads(json.dumps(snapshot.place))
        resumed = engine.Training(compiled, snapshot._replace(place=plain))
        for _ in resumed.run():
            pass
        assert texts(resumed) == texts(whole)


def texts(training):
    """The outcomes as text, in which NaN equals NaN; seconds differ."""
    return [str(replace(outcome, seconds=0.0)) for outcome in training.outcomes]


@pytest.mark.slow
def test_together_and_one_by_one_train_alike():
    study = Study(**OVERFITS | {"patience": 3})
    job = study.jobs(study.prepare())[0]
    one_by_one = job.compile()
    together = engine.CompiledGroup(replace(one_by_one.group, at_once=3), job.data)
    results = []
    for compiled in (one_by_one, together):
        training = engine.Training(compiled)
        for _ in training.run():
            pass
        results.append(training.outcomes)
    for one, other in zip(*results, strict=True):
        assert (one.best_epoch, one.epochs) == (other.best_epoch, other.epochs)
        assert one.test["loss"] == pytest.approx(other.test["loss"], rel=1e-4)


def test_a_diverged_run_is_not_revived():
    good, bad = outcomes(learning_rates=[0.03, 1e30], seeds=[0], patience=3)
    assert bad.diverged_at is not None
    assert math.isnan(bad.test["loss"])
    assert all(len(curve) == 16 for curve in bad.curves.values())
    (alone,) = outcomes(seeds=[0], patience=3)
    assert (good.best_epoch, good.epochs) == (alone.best_epoch, alone.epochs)
    assert good.test["loss"] == pytest.approx(alone.test["loss"], rel=1e-4)


def test_layers_are_measured_until_a_run_stops():
    first, second, third = outcomes(patience=2, diagnose=1)
    outcome = min((first, second, third), key=lambda outcome: outcome.epochs)
    trained = outcome.epochs * outcome.steps // 16
    history = outcome.history
    column = np.array(history.std)
    measured = ~np.isnan(column).all(axis=1)
    assert measured.tolist() == [step < trained for step in history.steps]


def test_it_is_part_of_a_runs_identity(tmp_path):
    """So is the metric then, which is compared only at the end otherwise."""

    def trained(**changed):
        study = Study(**OVERFITS | {"seeds": [0], "epochs": 3} | changed)
        return study.run(tmp_path).environment["runs_trained"]

    assert trained() == 1
    assert trained(metric="accuracy") == 0
    assert trained(patience=1) == 1
    assert trained(patience=1) == 0
    assert trained(patience=2) == 1
    assert trained(patience=1, metric="accuracy") == 1


def test_the_best_model_has_the_weights_that_were_tested():
    result = Study(**OVERFITS | {"patience": 3}).run()
    best = result.best_model()
    assert best.test["loss"] == pytest.approx(
        next(record.outcome.test["loss"] for record in result.records if record.seed == best.seed)
    )
    with pytest.raises(UsageError, match="patience"):
        result.best_model(with_validation=True)


def test_tables_have_the_values_of_the_epochs_that_were_trained():
    result = Study(**OVERFITS | {"patience": 3, "seeds": [1]}).run()
    (outcome,) = (record.outcome for record in result.records)
    (row,) = result.rows()
    assert row["validation_loss"] == min(outcome.curves["validation_loss"])
    assert row["best_epoch"] == outcome.best_epoch
    epochs = result.rows("epoch")
    assert [each["epoch"] for each in epochs] == [*range(1, outcome.epochs + 1)]
    assert [each["validation_loss"] for each in epochs] == outcome.curves["validation_loss"][
        : outcome.epochs
    ]


def test_seconds_to_a_target_are_those_of_the_epochs_that_were_trained():
    metric = parse_metric("seconds:0.5", "accuracy", True)
    curve = {"validation_accuracy": [0.1, 0.6, *[0.6] * 8]}
    stopped = Outcome(curve, steps=100, seconds=4.0, best_epoch=2, epochs=4)
    assert metric.reported(stopped) == 2.0
    assert parse_metric("steps:0.5", "accuracy", True).reported(stopped) == 20.0
    missed = parse_metric("seconds:0.7", "accuracy", True)
    assert missed.reported(stopped) == 4.0


def test_a_run_that_has_stopped_takes_no_more_seconds():
    first, *_, third = sorted(outcomes(patience=2), key=lambda outcome: outcome.epochs)
    assert first.epochs < third.epochs
    assert first.seconds < third.seconds


def test_layers_of_runs_that_stop_at_different_steps(tmp_path):
    """In blocks of a race, which end at different steps too."""
    study = Study(
        model="mlp", factors={"activation": ["relu", "tanh"], "hidden": [(16,)]}, epochs=12,
        learning_rates=[0.1, 0.3, 0.003], seeds=4, patience=1, diagnose=10,
    )  # fmt: skip
    result = study.run(tmp_path)
    lengths = {len(record.outcome.history.steps) for record in result.records}
    assert len(lengths) > 1
    row = result.answer.rows[0]
    longest = max(len(run.outcome.history.steps) for run in result.chosen(row))
    assert len(result.history(row).steps) == longest


def test_epochs_are_counted_as_trained():
    study = Study(**OVERFITS | {"patience": 2, "seeds": [1]})
    seen = []
    train_one(study, 0, 0.03, seed=1, on_epoch=lambda epoch, model: seen.append(epoch))
    (outcome,) = outcomes(patience=2, seeds=[1])
    assert seen == [*range(outcome.epochs + 1)]


def test_the_command_takes_it(tmp_path, capsys):
    out = tmp_path / "runs"
    arguments = ["compare", "--model", "mlp", "--activation", "relu", "--learning-rate", "0.1",
                 "--seeds", "1", "--epochs", "2", "--patience", "1", "--no-report",
                 "--quiet"]  # fmt: skip
    assert main([*arguments, "--out", str(out)]) == 0
    assert "patience = 1" in (out / "study.toml").read_text()
    assert main([*arguments, "--metric", "loss", "--out", str(out)]) == 0
    assert 'metric = "loss"' in (out / "study.toml").read_text()
    assert main([*arguments, "--patience", "0", "--out", str(out)]) == 2
    assert "patience" in capsys.readouterr().err


def test_the_first_of_equally_good_epochs_is_the_best():
    assert best_epoch([0.5, 0.7, 0.7], True) == 1
    assert best_epoch([0.5, math.nan, 0.4], False) == 2
    assert best_epoch([math.nan], True) is None


def test_the_weights_of_runs_stay_on_their_devices():
    study = Study(**OVERFITS | {"patience": 3})
    compiled = study.jobs(study.prepare())[0].compile()
    training = engine.Training(compiled)
    before = training._states.step.sharding
    for _ in training.run():
        pass
    assert training._states.kept.stopped.sharding.is_equivalent_to(before, 1)
