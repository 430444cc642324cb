"""Soft and generalized means: derivatives of first and second order against the plain formula."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import pooling

X = jnp.asarray(np.random.default_rng(0).normal(1, 1, (2, 4, 6, 3)), jnp.float32)
DIRECTION = jnp.asarray(np.random.default_rng(1).normal(size=X.shape), jnp.float32)


def tiled(x):
    """The values of 2x2 windows in a last axis."""
    n, h, w, c = x.shape
    split = x.reshape(n, h // 2, 2, w // 2, 2, c)
    return jnp.moveaxis(split, (2, 4), (-2, -1)).reshape(n, h // 2, w // 2, c, 4)


def soft(x):
    return jnp.sum(jax.nn.softmax(tiled(x)) * tiled(x), -1)


def gem(x, p):
    return jnp.mean(jnp.maximum(tiled(x), 1e-6) ** p, -1) ** (1 / p)


def everything(function, x):
    weights = jnp.cos(jnp.arange(function(x).size, dtype=x.dtype)).reshape(function(x).shape)
    gradient = jax.grad(lambda x: jnp.vdot(weights, function(x)))
    return (
        function(x),
        gradient(x),
        jax.jvp(function, (x,), (DIRECTION,))[1],
        jax.jvp(gradient, (x,), (DIRECTION,))[1],
        jax.grad(lambda x: jnp.vdot(gradient(x), DIRECTION))(x),
        jax.vmap(gradient)(jnp.stack([x, x + DIRECTION])),
    )


FUNCTIONS = {
    "soft": (pooling.soft_pool, soft),
    **{
        f"gem {kind} {p}": (partial(pooling.gem_pool, p=make(p)), partial(gem, p=p))
        for kind, make in (("number", float), ("array", jnp.float32))
        for p in (1.0, 2.0, 3.0, 16.0, 2.5)
    },
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_the_formula(name):
    function, formula = FUNCTIONS[name]
    x = X if name == "soft" else jnp.abs(X) + 0.1
    ours = everything(lambda x: function(x, (2, 2)), x)
    for mine, expected in zip(ours, everything(formula, x), strict=True):
        scale = float(jnp.abs(expected).max()) or 1.0
        np.testing.assert_allclose(mine, expected, atol=2e-5 * scale)


def test_the_derivative_by_a_learned_power():
    x = jnp.abs(X)

    def loss(function, p):
        return jnp.sum(jnp.sin(function(x, p)))

    def ours(x, p):
        return pooling.gem_pool(x, (2, 2), p=p)

    for order in (jax.grad, lambda f: jax.grad(jax.grad(f))):
        mine, expected = (
            order(partial(loss, function))(jnp.float32(2.5)) for function in (ours, gem)
        )
        np.testing.assert_allclose(mine, expected, rtol=1e-4)


@pytest.mark.parametrize("p", [3.0, jnp.float32(3.0)], ids=["number", "array"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-6])
def test_windows_of_zeros_and_of_extreme_values(p, epsilon):
    x = jnp.asarray([[0.0, 0.0], [-2.0, 0.0], [1e30, 1e-30], [1e-30, 3e-30]]).reshape(8, 1)

    def pool(x):
        return pooling.gem_pool(x, (2,), p=p, epsilon=epsilon)

    assert np.isfinite(pool(x)).all()
    assert np.isfinite(jax.grad(lambda x: pool(x).sum())(x)).all()
    assert np.isfinite(jax.grad(lambda x: pool(x[:2]).sum())(x)).all()
