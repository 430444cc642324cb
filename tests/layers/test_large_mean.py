"""Normalization where the mean is large beside the spread, against NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers

# name: (layer, axes of the statistics of (batch, height, width, groups, channels))
NORMS = {
    "batch_norm": (layers.batch_norm, (0, 1, 2)),
    "layer_norm": (layers.layer_norm, (3, 4)),
    "instance_norm": (layers.instance_norm, (1, 2)),
    "group_norm": (lambda n, rngs: layers.GroupNorm(n, num_groups=2, rngs=rngs), (1, 2, 4)),
}


def grouped(x):
    return x.reshape(*x.shape[:-1], 2, -1)


def normalized(x, axes):
    """The outputs, and the gradient of `sum(weights * outputs)` for the inputs."""
    x = grouped(x)
    centred = x - x.mean(axes, keepdims=True)
    root = np.sqrt((centred**2).mean(axes, keepdims=True) + 1e-6)
    y = centred / root
    weights = grouped(WEIGHTS)
    inner = weights - weights.mean(axes, keepdims=True)
    slope = (inner - y * (weights * y).mean(axes, keepdims=True)) / root
    return y.reshape(WEIGHTS.shape), slope.reshape(WEIGHTS.shape)


WEIGHTS = np.random.default_rng(1).standard_normal((8, 4, 4, 8))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (100.0, 0.1), (1e4, 1.0)])
def test_outputs_and_gradients_keep_their_accuracy(name, mean, std):
    make, axes = NORMS[name]
    x = np.random.default_rng(0).standard_normal((8, 4, 4, 8)) * std + mean
    x = jnp.asarray(x, jnp.float32)
    graph, state = nnx.split(make(8, rngs=nnx.Rngs(0)))

    def outputs(x):
        return nnx.merge(graph, state, copy=True)(x)

    got, back = jax.vjp(outputs, x)
    want, gradient = normalized(np.asarray(x, np.float64), axes)
    np.testing.assert_allclose(got, want, atol=0.01)
    (slope,) = back(jnp.asarray(WEIGHTS, jnp.float32))
    np.testing.assert_allclose(slope * std, gradient * std, atol=0.02)


def test_running_statistics_are_accurate_too():
    x = np.random.default_rng(0).standard_normal((64, 4, 4, 2)) + 1e4
    layer = layers.batch_norm(2, rngs=nnx.Rngs(0))
    for _ in range(200):
        layer(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(layer.var[...], x.var((0, 1, 2)), rtol=1e-3)
    layer.eval()
    evaluated = np.asarray(layer(jnp.asarray(x, jnp.float32)))
    np.testing.assert_allclose(evaluated.mean((0, 1, 2)), 0, atol=0.01)
    np.testing.assert_allclose(evaluated.std((0, 1, 2)), 1, atol=0.01)


def test_flax_s_own_formula_can_be_asked_for():
    assert layers.BatchNorm(2, use_fast_variance=True, rngs=nnx.Rngs(0)).use_fast_variance
