"""Pooling at ties, zeros, NaN and extreme sizes: values and gradients."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import pooling
from tests.pooling.cases import POOLINGS


@pytest.mark.parametrize("strides", [2, 1])
def test_the_first_maximum_receives_the_gradient(strides):
    x = jnp.ones((2, 4, 1)) if strides == 1 else jnp.ones((4, 4, 1))
    grad = jax.grad(lambda x: pooling.max_pool(x, (2, 2), strides).sum())(x)[..., 0]
    if strides == 2:
        assert grad.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    else:
        assert grad.tolist() == [[1, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("strides", [2, 1])
def test_zero_windows_have_finite_gradients_and_nan_propagates(name, strides):
    function, _ = POOLINGS[name]
    zeros = np.zeros((4, 4, 1), np.float32)

    @jax.jit
    def pool(x):
        return function(x, (2, 2), strides)

    gradient = jax.jit(jax.grad(lambda x: pool(x).sum()))(zeros)
    assert np.isfinite(gradient).all()
    zeros[0, 0, 0] = np.nan
    assert np.isnan(np.asarray(pool(zeros))[0, 0, 0])


@pytest.mark.parametrize("strides", [(2, 2), (1, 1)])
def test_max_pooling_passes_no_gradient_through_a_window_with_nan(strides):
    x = jnp.arange(16.0).reshape(4, 4, 1).at[0, 1].set(jnp.nan)
    gradient = jax.grad(lambda x: pooling.max_pool(x, (2, 2), strides).sum())(x)[..., 0]
    # Without NaN the maximum of each window is at its end; windows with (0, 1) are excluded.
    expected = np.zeros((4, 4))
    for i, j in itertools.product(range(0, 3, strides[0]), range(0, 3, strides[1])):
        expected[i + 1, j + 1] += not (i == 0 and j in (0, 1))
    np.testing.assert_array_equal(gradient, expected)
    many = jnp.arange(25.0).reshape(5, 5, 1).at[2, 2].set(jnp.nan)
    assert not jax.grad(lambda x: pooling.max_pool(x, (5, 5)).sum())(many).any()


def gem_in_float64(x, p, epsilon=1e-6):
    """Return the value and the gradients for `x` and `p`, along axis 0."""
    x = np.maximum(np.asarray(x, np.float64), epsilon)
    weights = x**p / (x**p).sum(0)
    y = (x**p).mean(0) ** (1 / p)
    for_p = y * ((weights * np.log(x)).sum(0) / p - np.log((x**p).mean(0)) / p**2)
    return y, y * weights / x, for_p


@pytest.mark.parametrize("p", [1.0, 3.0, 7.0, 20.0, 50.0])
@pytest.mark.parametrize("strides", [4, 2])
def test_gem_matches_float64_for_every_power(p, strides):
    # One window per channel: usual values, zeros, tiny, huge, and both tiny and usual.
    x = np.random.default_rng(0).uniform(0.1, 2, size=(4, 5)) * np.array([1, 0, 1e-4, 1e5, 1])
    x[0, 4] = 1e-5
    x = x.astype(np.float32)

    def pool(channel, p):
        padded = jnp.pad(channel, (0, strides % 4))[:, None]
        return pooling.gem_pool(padded, (4,), strides, p=p)[0, 0]

    apply = jax.jit(jax.vmap(jax.value_and_grad(pool, argnums=(0, 1)), (1, None)))
    value, (for_x, for_p) = apply(jnp.asarray(x), jnp.float32(p))
    expected, expected_for_x, expected_for_p = gem_in_float64(x, p)
    np.testing.assert_allclose(value, expected, rtol=2e-6)
    np.testing.assert_allclose(for_x.T, np.where(x > 1e-6, expected_for_x, 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(for_p, expected_for_p, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strides", [2, 1])
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 100.0, np.inf])
def test_lp_neither_overflows_nor_vanishes(p, strides):
    x = np.array([3.0, -4.0, 0.0])[:, None]
    pool = jax.jit(jax.value_and_grad(lambda x: pooling.lp_pool(x, (2,), strides, p=p)[0, 0]))
    for scale in (1e-30, 1.0, 1e30):
        y, gradient = pool(jnp.asarray(x * scale, jnp.float32))
        assert float(y) == pytest.approx(np.linalg.norm(x[:2, 0], p) * scale, rel=1e-5)
        expected = np.sign(x) * (np.abs(x) / np.linalg.norm(x[:2, 0], p)) ** min(p - 1, 1e9)
        if p == np.inf:
            expected = np.array([0.0, -1.0, 0.0])[:, None]
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
