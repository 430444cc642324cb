"""Trainings, diagnoses and summaries under `jax.disable_jit()` and `jax_debug_nans`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import diagnosis, models
from tests.slow import short_first
from tests.small import blobs, study

X, LABELS = blobs(64, features=4)


def mlp():
    return models.mlp((4,), 2, hidden=(8,), rngs=nnx.Rngs(0))


def train():
    """A study with an activation that cannot saturate, and the layers measured at every step."""
    result = study(factors={"activation": ["leaky_relu"], "hidden": [(4,)]}, diagnose=2).run()
    history = result.records[0].outcome.history
    assert all(math.isnan(value) for row in history.saturated for value in row)
    assert all(value > 0 for row in history.std for value in row)
    return [record.outcome.curves["train_loss"] for record in result.records]


def diagnose():
    report = jcnn.diagnose(mlp(), X, jnp.asarray(LABELS))
    assert report.layers[-1].saturated is None  # no activation follows
    return [layer.gradient for layer in report.layers]


def layerwise():
    result = diagnosis.diagnose_layerwise(mlp(), X, jnp.asarray(LABELS)).diagnosis
    assert result.layers[-1].saturated is None
    return [layer.gradient for layer in result.layers]


def summarize():
    net = models.lenet((8, 8, 1), 2, rngs=nnx.Rngs(0))
    return [layer.receptive_field[0] for layer in diagnosis.summarize(net, (8, 8, 1)).layers[:2]]


def find_rate():
    """One of the two rates is so large that the training diverges."""
    found = diagnosis.find_learning_rate(
        mlp(), X, LABELS, steps=4, lowest=0.1, highest=1e30, per_decade=1, repeats=1
    )
    assert math.isnan(found.losses[-1])
    return found.losses[:1]


TASKS = [train, diagnose, layerwise, summarize, find_rate]


@pytest.mark.parametrize("task", short_first(TASKS, short=2))
def test_debug_nans_reports_no_nan_where_there_is_none(task):
    want = task()
    jax.clear_caches()
    with jax.debug_nans(True):
        np.testing.assert_allclose(task(), want, rtol=1e-4)


@pytest.mark.parametrize("task", short_first(TASKS, short=2))
def test_values_are_the_same_without_jit(task):
    want = task()
    with jax.disable_jit():
        np.testing.assert_allclose(task(), want, rtol=1e-3)


def test_a_diverged_run_is_recorded_as_before():
    """The held-out means and the measurements of a run that diverged are NaN on the host."""
    factors = {"activation": ["relu"], "hidden": [(4, 4)]}
    settings = {"learning_rates": [1e25], "seeds": 1, "epochs": 2, "diagnose": 1}
    result = study(factors=factors, **settings).run()
    outcome = result.records[0].outcome
    assert outcome.diverged_at is not None
    assert math.isnan(outcome.test["accuracy"])
    assert all(math.isnan(value) for value in outcome.curves["validation_accuracy"])
    after = [i for i, step in enumerate(outcome.history.steps) if step > outcome.diverged_at]
    assert after
    assert all(math.isnan(value) for i in after for value in outcome.history.std[i])
    assert not any(math.isnan(value) for value in outcome.history.std[0])
