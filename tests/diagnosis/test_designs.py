"""Standard designs are silent, each of which is seen to train."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jcnn import data, losses
from jcnn.diagnosis import Examination
from tests.diagnosis.designs import DESIGNS
from tests.slow import short_first

SEEDS = 3


def loss(outputs, labels):
    if isinstance(outputs, tuple):
        main, side = (losses.cross_entropy(each, labels) for each in outputs)
        return main + 0.3 * side
    return losses.cross_entropy(outputs, labels)


@pytest.fixture(scope="module")
def digits():
    dataset = data.load("digits")

    def normalized(images):
        return ((images - dataset.mean) / dataset.std).astype(np.float32)

    return (
        normalized(dataset.train_inputs), dataset.train_targets,
        normalized(dataset.test_inputs), dataset.test_targets,
    )  # fmt: skip


@pytest.fixture
def standard_promotion():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("design", short_first(DESIGNS, 3))
def test_a_healthy_design_is_silent(design, digits, standard_promotion):
    x, labels = digits[0][:128], digits[1][:128]
    make = DESIGNS[design]
    examine = Examination(make(nnx.Rngs(0)), x, labels, loss)
    for seed in range(SEEDS):
        diagnosis = examine(make(nnx.Rngs(seed)))
        assert diagnosis.verdict == "healthy", diagnosis.verdicts


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_trains(design, digits, standard_promotion):
    x, labels, test_x, test_labels = map(jnp.asarray, digits)
    model = DESIGNS[design](nnx.Rngs(0))
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    transformation = optax.adam(optax.cosine_decay_schedule(3e-3, 400))

    def loss_of(params, rest, x, labels):
        copy = nnx.merge(graph, params, rest, copy=True)
        value = jnp.mean(loss(copy(x), labels))
        return value, nnx.split(copy, nnx.Param, ...)[2]

    @jax.jit
    def step(params, rest, state, x, labels):
        (_, rest), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, rest, x, labels)
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), rest, state

    state = transformation.init(params)
    rng = np.random.default_rng(0)
    for _ in range(400):
        rows = rng.integers(0, len(x), 64)
        params, rest, state = step(params, rest, state, x[rows], labels[rows])
    nnx.update(model, params, rest)
    model.eval()
    outputs = model(test_x)
    accuracy = float((jnp.argmax(outputs, -1) == test_labels).mean())
    assert accuracy >= 0.8, accuracy
