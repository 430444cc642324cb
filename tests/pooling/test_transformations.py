"""Pooling under jit, vmap, forward mode, second derivatives and shard_map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import pooling
from tests.pooling.cases import CASES, POOLINGS, sample


@pytest.mark.parametrize("name", POOLINGS)
def test_jit_vmap_batches_and_forward_mode_agree(name):
    function, _ = POOLINGS[name]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 6, 6, 2)), jnp.float32)

    def apply(x):
        return function(x, (3, 3), 2, "SAME")

    y = jax.jit(apply)(x)
    single = jnp.stack([jnp.stack([apply(image) for image in row]) for row in x])
    np.testing.assert_allclose(y, single, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(apply))(x), y, rtol=1e-5, atol=1e-6)
    assert apply(x[:0]).shape == (0, 2, 3, 3, 2)
    small = x[0, 0, :4, :4, :1]
    forward, reverse = jax.jit(lambda x: (jax.jacfwd(apply)(x), jax.jacrev(apply)(x)))(small)
    np.testing.assert_allclose(forward, reverse, rtol=1e-4, atol=1e-6)


def test_second_derivatives():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4, 1)), jnp.float32)

    def curved(x):
        return jnp.sum(pooling.max_pool(x, (3, 3), 1) ** 3 + pooling.l2_pool(x, (2, 2), 1)[1:, 1:])

    v = jnp.ones_like(x)
    product = jax.jvp(jax.grad(curved), (x,), (v,))[1]
    step = 1e-2
    numerical = (jax.grad(curved)(x + step * v) - jax.grad(curved)(x - step * v)) / (2 * step)
    np.testing.assert_allclose(product, numerical, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("strides", [2, 1])
def test_no_gradient_uses_select_and_scatter(strides):
    x = jnp.ones((2, 6, 6, 3))
    for function, _ in POOLINGS.values():
        text = (
            jax.jit(jax.grad(lambda x, f=function: jnp.sum(f(x, (2, 2), strides) ** 2)))
            .lower(x)
            .as_text()
        )
        assert "select_and_scatter" not in text
        assert "reduce_window" not in text


@pytest.mark.parametrize("case", [CASES[1], CASES[6], CASES[7]], ids=str)
def test_learned_weights_map_and_differentiate_twice(case):
    """Overlapping windows: vmap over weights outside and inside gradients, and both modes."""
    spatial, window, strides, padding, dilation = case
    x = jnp.asarray(sample(spatial))
    weights = jax.random.normal(jax.random.key(0), (3, *window, 2))

    def loss(weights, x):
        y = pooling.weighted_avg_pool(
            x, window, strides, padding, weights=weights, dilation=dilation
        )
        return jnp.sum(jnp.sin(y))

    gradients = jax.grad(loss, (0, 1))
    alone = jax.jit(gradients)
    each = [alone(w, x) for w in weights]
    mapped = jax.jit(jax.vmap(gradients, (0, None)))(weights, x)
    for i, (dw, dx) in enumerate(each):
        np.testing.assert_allclose(mapped[0][i], dw, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(mapped[1][i], dx, rtol=1e-5, atol=1e-5)
    below = jax.jit(jax.grad(lambda w: jnp.sum(jax.vmap(loss, (0, None))(w, x))))(weights)
    np.testing.assert_allclose(below, mapped[0], rtol=1e-5, atol=1e-5)
    over = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(weights[0], jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(over[0], each[0][0], rtol=1e-5, atol=1e-5)

    @jax.jit
    def slope(weights):
        return jnp.sum(jax.grad(loss, 1)(weights, x) * jnp.cos(x))

    direction = jnp.ones_like(weights[0])
    step = 1e-2
    numeric = (slope(weights[0] + step * direction) - slope(weights[0] - step * direction)) / (
        2 * step
    )
    np.testing.assert_allclose(
        jax.jvp(slope, (weights[0],), (direction,))[1], numeric, rtol=2e-2, atol=2e-2
    )
    np.testing.assert_allclose(jnp.sum(jax.grad(slope)(weights[0])), numeric, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["max", "avg", "weighted_avg"])
def test_overlapping_windows_under_shard_map(name):
    """With the check of varying axes, for an input that varies over the mesh."""
    mesh = jax.make_mesh((1,), ("device",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("device")
    x = jnp.asarray(sample((7, 7)))

    def slopes(x):
        return jax.grad(lambda x: jnp.sum(POOLINGS[name][0](x, (3, 3), 2) ** 2))(x)

    sharded = jax.jit(jax.shard_map(slopes, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_allclose(sharded(x), jax.jit(slopes)(x), rtol=1e-5, atol=1e-6)
