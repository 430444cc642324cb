"""Layers monitored in training: the same figures as a diagnosis, and at no cost when off."""

import json
import math
import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import engine, strict_json, training
from jcnn.diagnosis import Examination
from jcnn.diagnosis.history import FIGURES, LayerHistory, average_histories
from jcnn.engine import epoch_batches
from jcnn.study import Study
from jcnn.training.run import normalize
from tests.slow import short_first

SMALL = {"model": "mlp", "learning_rates": [0.1], "seeds": 2, "epochs": 2, "batch_size": 128}
FACTORS = {
    "activation": ["relu"],
    "normalization": ["batch"],
    "optimizer": ["momentum"],
    "hidden": [(16,)],
}


def history_of(study):
    return study.run().records[0].outcome.history


def program(study):
    """The text of a study's compiled program, without the locations of source lines."""
    text = compiled(study)._advance.as_text()
    return [re.sub(r"metadata=\{[^}]*\}", "", line) for line in text.splitlines() if "%" in line]


def compiled(study):
    """The study's first group, compiled."""
    with jax.numpy_dtype_promotion("standard"):
        return study.jobs(study.prepare())[0].compile()


@pytest.mark.parametrize("model", short_first(["mlp", "lenet"]))
def test_the_first_figures_are_those_of_a_diagnosis(model):
    study = Study(factors=FACTORS, diagnose=4, **SMALL | {"model": model})
    history = history_of(study)
    prepared = study.prepare()
    data, job = prepared.data, study.jobs(prepared)[0]
    rows = epoch_batches(0, 0, len(data.inputs), 128)[0]
    x = normalize(jnp.asarray(data.inputs[rows]), data)
    labels = jnp.asarray(data.targets[rows])
    module = job.model(0, 0)
    module.train()
    loss, optimizer = prepared.task.loss, job.optimizer(0, 0.1)
    expected = Examination(module, x, labels, loss, optimizer=optimizer)(module)
    assert list(history.layers) == [layer.name for layer in expected.layers]
    assert list(history.activations) == [layer.activation for layer in expected.layers]
    for name in FIGURES:
        values = [getattr(layer, name) for layer in expected.layers]
        wanted = np.array([math.nan if value is None else value for value in values], float)
        first = getattr(history, name)[0]
        np.testing.assert_allclose(first, wanted, rtol=2e-3, atol=1e-6, err_msg=name)


def test_every_nth_step_of_an_epoch_is_measured_and_figures_change():
    history = history_of(Study(factors=FACTORS, diagnose=4, **SMALL))
    assert history.steps == [0, 4, 8, 12]  # epochs of 8 steps
    gradients = np.array(history.gradient)
    assert gradients.shape == (4, len(history.layers))
    assert len(np.unique(gradients[:, 0])) == 4
    uneven = history_of(Study(factors=FACTORS, diagnose=3, **SMALL))
    assert uneven.steps == [0, 3, 6, 8, 11, 14]
    assert uneven.gradient[0] == history.gradient[0]
    assert uneven.gradient[3] == history.gradient[2]  # the second epoch's first step


@pytest.mark.parametrize("calls", short_first([[3, 1, 4], [8], [1] * 8]))
def test_an_epoch_in_several_calls(calls):
    training_ = engine.Training(compiled(Study(factors=FACTORS, diagnose=3, **SMALL)))
    whole = history_of(Study(factors=FACTORS, diagnose=3, **SMALL))
    training_.start(0)
    step = 0
    for steps in calls:
        step, _ = training_.train(step, step + steps)
    training_.record(training_.outcomes)
    history = training_.outcomes[0].history
    assert history.steps == [0, 3, 6]
    assert history.gradient == whole.gradient[:3]


def test_training_itself_is_unchanged():
    plain = Study(factors=FACTORS, **SMALL).run()
    watched = Study(factors=FACTORS, diagnose=2, **SMALL).run()
    for ours, theirs in zip(watched.records, plain.records, strict=True):
        for name, curve in theirs.outcome.curves.items():
            np.testing.assert_allclose(ours.outcome.curves[name], curve, rtol=1e-4)
        assert theirs.outcome.history is None
    assert plain.why(plain.ranking()[0]) == []


def test_when_off_the_program_is_the_same_as_without(monkeypatch):
    study = Study(factors=FACTORS, **SMALL)
    before = program(study)
    assert len(before) > 100

    def gone(*arguments, **keywords):
        raise AssertionError("measured though it was off")

    monkeypatch.setattr(training.run, "train_and_watch", gone)
    monkeypatch.setattr("jcnn.study.job.make_watch", gone)
    assert program(study) == before
    with pytest.raises(AssertionError, match="measured"):
        compiled(replace(study, diagnose=5))


def test_under_vmap_other_steps_skip_the_measurement():
    group = compiled(Study(factors=FACTORS, diagnose=4, **SMALL))
    states = group.initial_states()
    numbers = group._hyperparameters()
    batches = group._batches(0)
    one = partial(training.run.advance, group.initialization.structure, group.group.recipe)
    ranges = jnp.array([0, 8, 0, 0])
    many = jax.vmap(one, in_axes=(0, 0, 0, None, None))
    with jax.numpy_dtype_promotion("standard"):
        text = str(jax.make_jaxpr(many)(states, numbers, batches, group.data, ranges))
        found, _ = jax.jit(many)(states, numbers, batches, group.data, ranges)
    # If the predicate differed between runs, both branches would be computed.
    assert " cond[" in text
    training_ = engine.Training(group)
    training_.start(0)
    training_.train(0, 8)
    np.testing.assert_allclose(
        found.watched, np.asarray(training_._states.watched), rtol=1e-3, atol=1e-5
    )


def test_a_history_survives_a_snapshot():
    group = compiled(Study(factors=FACTORS, diagnose=3, **SMALL))
    whole, cut = engine.Training(group), engine.Training(group)
    for _ in whole.run():
        pass
    cut.start(0)
    cut._done, _ = cut.train(0, 5)
    again = engine.Training(group, cut.snapshot())
    for _ in again.run():
        pass
    assert json.dumps(again.outcomes[0].to_dict()["history"]) == json.dumps(
        whole.outcomes[0].to_dict()["history"]
    )


def test_a_run_that_diverges_is_diagnosed_up_to_there():
    factors = {"activation": ["relu"], "normalization": ["none"]}
    study = Study(factors=factors, diagnose=1, **SMALL | {"learning_rates": [1e4]})
    result = study.run()
    outcome = result.records[0].outcome
    assert outcome.diverged_at is not None
    diagnoses = average_histories([outcome.history]).diagnose()
    assert 0 < len(diagnoses) <= outcome.diverged_at + 1


def test_a_history_survives_json():
    rows = {name: [[0.5, math.nan]] for name in FIGURES}
    history = LayerHistory(layers=["conv", "dense"], activations=["relu", None])
    history = history.extended([20], rows)
    text = strict_json.dumps(history.to_dict())
    assert "null" in text
    restored = LayerHistory.from_dict(json.loads(text))
    assert repr(restored) == repr(history)
    content = history.to_dict()
    del content["gradient"]
    with pytest.raises(KeyError, match="gradient"):
        LayerHistory.from_dict(content)
