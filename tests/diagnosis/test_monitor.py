"""A diagnosis followed through training: the same numbers as from outside, at no cost when off."""

import json
import math
import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import engine, training
from jcnn.diagnosis import Examination
from jcnn.diagnosis.monitor import COLUMNS, averaged, moments
from jcnn.engine import epoch_batches
from jcnn.study import Study
from jcnn.training.run import normalize
from tests.slow import short_first

SMALL = {"model": "mlp", "learning_rates": [0.1], "seeds": 2, "epochs": 2, "batch_size": 128}
FACTORS = {"activation": ["relu"], "normalization": ["batch"], "optimizer": ["momentum"]}


def followed(study):
    return study.run().records[0].outcome.followed


def program(study):
    """The text of a study's compiled program, without what it says of lines of sources."""
    text = compiled(study)._advance.as_text()
    return [re.sub(r"metadata=\{[^}]*\}", "", one) for one in text.splitlines() if "%" in one]


def compiled(study):
    """The study's first group, compiled."""
    with jax.numpy_dtype_promotion("standard"):
        return study.jobs(study.prepare())[0].compile()


@pytest.mark.parametrize("model", short_first(["mlp", "lenet"]))
def test_the_first_numbers_are_those_of_a_diagnosis_from_outside(model):
    study = Study(factors=FACTORS, diagnose=4, **SMALL | {"model": model})
    seen = followed(study)
    prepared = study.prepare()
    data, job = prepared.data, study.jobs(prepared)[0]
    rows = epoch_batches(0, 0, len(data.inputs), 128)[0]
    x = normalize(jnp.asarray(data.inputs[rows]), data)
    labels = jnp.asarray(data.targets[rows])
    module = job.model(0, 0)
    module.train()
    loss, optimizer = prepared.task.loss, job.optimizer(0, 0.1)
    expected = Examination(module, x, labels, loss, optimizer=optimizer)(module)
    assert seen["layers"] == [layer.name for layer in expected.layers]
    assert seen["activations"] == [layer.activation for layer in expected.layers]
    for column in COLUMNS:
        values = [getattr(layer, column) for layer in expected.layers]
        wanted = np.array([math.nan if value is None else value for value in values], float)
        np.testing.assert_allclose(seen[column][0], wanted, rtol=2e-3, atol=1e-6, err_msg=column)


def test_every_so_manyth_step_of_an_epoch_is_seen_and_numbers_change_on_the_way():
    seen = followed(Study(factors=FACTORS, diagnose=4, **SMALL))
    assert seen["steps"] == [0, 4, 8, 12]  # epochs of 8 steps
    gradients = np.array(seen["gradient"])
    assert gradients.shape == (4, len(seen["layers"]))
    assert len(np.unique(gradients[:, 0])) == 4
    uneven = followed(Study(factors=FACTORS, diagnose=3, **SMALL))
    assert uneven["steps"] == [0, 3, 6, 8, 11, 14]
    assert uneven["gradient"][0] == seen["gradient"][0]
    assert uneven["gradient"][3] == seen["gradient"][2]  # the second epoch's first step


@pytest.mark.parametrize("calls", short_first([[3, 1, 4], [8], [1] * 8]))
def test_however_an_epoch_is_cut_into_calls(calls):
    training_ = engine.Training(compiled(Study(factors=FACTORS, diagnose=3, **SMALL)))
    whole = followed(Study(factors=FACTORS, diagnose=3, **SMALL))
    training_.start(0)
    at = 0
    for steps in calls:
        at, _ = training_.train(at, at + steps)
    training_.record(training_.outcomes)
    seen = training_.outcomes[0].followed
    assert seen["steps"] == [0, 3, 6]
    assert seen["gradient"] == whole["gradient"][:3]


def test_training_itself_is_unchanged():
    plain = Study(factors=FACTORS, **SMALL).run()
    watched = Study(factors=FACTORS, diagnose=2, **SMALL).run()
    for ours, theirs in zip(watched.records, plain.records, strict=True):
        for name, curve in theirs.outcome.curves.items():
            np.testing.assert_allclose(ours.outcome.curves[name], curve, rtol=1e-4)
        assert theirs.outcome.followed == {}
    assert plain.why(plain.ranking()[0]) == []


def test_when_off_the_program_is_what_it_would_be_without(monkeypatch):
    study = Study(factors=FACTORS, **SMALL)
    before = program(study)
    assert len(before) > 100

    def gone(*arguments, **keywords):
        raise AssertionError("measured though it was off")

    monkeypatch.setattr(training.run, "watched", gone)
    monkeypatch.setattr("jcnn.study.job.watch_of", gone)
    assert program(study) == before
    with pytest.raises(AssertionError, match="measured"):
        compiled(replace(study, diagnose=5))


def test_under_vmap_steps_that_are_not_seen_skip_the_measurement():
    group = compiled(Study(factors=FACTORS, diagnose=4, **SMALL))
    states = group.initialization.states()
    numbers = group._hyperparameters()
    batches = group._batches(0)
    one = partial(training.run.advance, group.initialization.structure, group.group.recipe)
    ranges = jnp.array([0, 8, 0, 0])
    many = jax.vmap(one, in_axes=(0, 0, 0, None, None))
    with jax.numpy_dtype_promotion("standard"):
        text = str(jax.make_jaxpr(many)(states, numbers, batches, group.data, ranges))
        found, _ = jax.jit(many)(states, numbers, batches, group.data, ranges)
    # Where the predicate differed from run to run, both branches would be taken and selected.
    assert " cond[" in text
    training_ = engine.Training(group)
    training_.start(0)
    training_.train(0, 8)
    np.testing.assert_allclose(
        found.watched, np.asarray(training_._states.watched), rtol=1e-3, atol=1e-5
    )


def test_what_was_seen_survives_a_snapshot():
    group = compiled(Study(factors=FACTORS, diagnose=3, **SMALL))
    whole, cut = engine.Training(group), engine.Training(group)
    for _ in whole.run():
        pass
    cut.start(0)
    cut._done, _ = cut.train(0, 5)
    again = engine.Training(group, cut.snapshot())
    for _ in again.run():
        pass
    assert json.dumps(again.outcomes[0].followed) == json.dumps(whole.outcomes[0].followed)


def test_a_run_that_diverges_is_seen_up_to_there():
    factors = {"activation": ["relu"], "normalization": ["none"]}
    study = Study(factors=factors, diagnose=1, **SMALL | {"learning_rates": [1e4]})
    result = study.run()
    outcome = result.records[0].outcome
    assert outcome.diverged_at is not None
    found = moments(averaged([outcome.followed]))
    assert 0 < len(found) <= outcome.diverged_at + 1
