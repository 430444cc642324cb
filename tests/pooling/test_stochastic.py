"""Stochastic pooling: what it draws, its gradient, singular points, half precision, vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import pooling
from jcnn.pooling._stochastic import uniform
from tests import reference
from tests.pooling.cases import CASES, sample


# The last two have too many positions to unroll, without and with overlap.
@pytest.mark.parametrize(
    "case",
    [*CASES, ((10, 5), (5, 5), (5, 5), "VALID", (1, 1)), ((7, 6), (5, 5), (2, 1), "SAME", (1, 1))],
    ids=str,
)
def test_stochastic_pool_matches_running_sums(case, key):
    spatial, window, strides, padding, dilation = case
    x = sample(spatial)

    @jax.jit
    def apply(x):
        return pooling.stochastic_pool(x, window, strides, padding, dilation=dilation, key=key)

    y, pullback = jax.vjp(apply, jnp.asarray(x))
    shares = iter(
        np.moveaxis(np.asarray(uniform(key, y.shape, jnp.dtype("float32"))), -1, 1).ravel()
    )

    def drawn(values, inside):
        sums = np.cumsum(np.maximum(values, 0))
        passed = sums > next(shares) * sums[-1]
        gradient = np.eye(len(values))[passed.argmax()] * passed.any()
        return gradient @ values, gradient

    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    expected, dx = reference.pool(x, window, strides, padding, dilation, drawn, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    np.testing.assert_allclose(pullback(jnp.asarray(dy))[0], dx, rtol=1e-5, atol=1e-6)
    forward = jax.jvp(apply, (jnp.asarray(x),), (jnp.asarray(x),))[1]
    np.testing.assert_allclose(forward, y, rtol=1e-6)  # it is linear in the value drawn


@pytest.mark.parametrize("strides", [4, 2])
def test_stochastic_pool_draws_proportionally(strides, key):
    x = jnp.array([1.0, 3.0, 0.0, -2.0] * 1000).reshape(1000, 4, 1)
    drawn = pooling.stochastic_pool(jnp.pad(x, ((0, 0), (0, 2), (0, 0))), (4,), strides, key=key)
    drawn = drawn[:, 0, 0]
    assert set(drawn.tolist()) == {1.0, 3.0}
    assert abs(float(jnp.mean(jnp.where(drawn == 3.0, 1.0, 0.0))) - 0.75) < 0.05
    assert not (pooling.stochastic_pool(-jnp.abs(x), (4,), strides, key=key)).any()
    with pytest.raises(ValueError, match="pass key="):
        pooling.stochastic_pool(x, (4,))


@pytest.mark.parametrize("size", [2, 5])  # 25 positions are not unrolled
@pytest.mark.parametrize("strides", [None, 1])
@pytest.mark.parametrize("deterministic", [True, False])
def test_stochastic_pool_at_zeros_nan_and_infinity(size, strides, deterministic, key):
    @jax.jit
    def pool(x):
        return pooling.stochastic_pool(
            x, (size, size), strides, deterministic=deterministic, key=key
        )[0, 0, 0]

    zeros = jnp.zeros((size, size, 1))
    value, gradient = jax.value_and_grad(pool)(zeros)
    assert value == 0
    assert not gradient.any()
    mixed = jnp.ones((size, size, 1)).at[1, 0].set(-jnp.inf)
    assert float(pool(mixed)) == pytest.approx(1, rel=1e-6)
    value, gradient = jax.value_and_grad(pool)(mixed.at[1, 1].set(jnp.nan))
    assert jnp.isnan(value)
    assert deterministic or not gradient.any()
    assert not jnp.isfinite(pool(mixed.at[1, 1].set(jnp.inf)))
    tiny = pool(jnp.full((size, size, 1), 1e-30))
    assert float(tiny) == pytest.approx(1e-30, rel=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_stochastic_pool_draws_the_same_in_half_precision(dtype, key):
    x = jnp.asarray(sample((9, 9))).astype(dtype)
    y = pooling.stochastic_pool(x, (3, 3), 2, "SAME", key=key)
    assert y.dtype == dtype
    exact = pooling.stochastic_pool(x.astype(jnp.float32), (3, 3), 2, "SAME", key=key)
    np.testing.assert_array_equal(y.astype(jnp.float32), exact)


def test_stochastic_pool_under_transformations(key):
    x = jnp.asarray(sample((6, 6)))
    keys = jax.random.split(key, 3)

    def pool(x, key, strides):
        return pooling.stochastic_pool(x, (3, 3), strides, key=key)

    for strides in (3, 2):
        separate = jnp.stack([pool(x, single, strides) for single in keys])
        together = jax.jit(jax.vmap(pool, (None, 0, None)), static_argnums=2)(x, keys, strides)
        np.testing.assert_array_equal(separate, together)
        assert (separate[0] != separate[1]).any()
        text = (
            jax.jit(jax.grad(lambda x, s=strides: jnp.sum(pool(x, key, s) ** 2))).lower(x).as_text()
        )
        assert not any(word in text for word in ("gather", "scatter", "reduce_window", "sort"))


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_draws_are_uniform_and_independent(impl):
    float32 = jnp.dtype("float32")
    drawn = np.asarray(uniform(jax.random.key(3, impl=impl), (1001, 999), float32), np.float64)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram(drawn, 100, (0, 1))[0]
    assert ((counts - drawn.size / 100) ** 2 / (drawn.size / 100)).sum() < 150  # of 99 +- 14
    half = drawn.size // 2
    for other in (np.roll(drawn, 1), np.roll(drawn, half), np.roll(drawn, 999)):
        assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 5e-3
    another = uniform(jax.random.key(4, impl=impl), (1001, 999), float32)
    assert abs(np.corrcoef(drawn.ravel(), np.ravel(another))[0, 1]) < 5e-3


def test_draws_follow_the_kind_of_key():
    legacy = jax.random.PRNGKey(5)
    float32 = jnp.dtype("float32")
    np.testing.assert_array_equal(
        uniform(legacy, (3, 5), float32), uniform(jax.random.key(5), (3, 5), float32)
    )
    keys = jax.random.split(jax.random.key(0), 3)
    mapped = jax.vmap(lambda key: uniform(key, (5,), float32))(keys)
    for key, row in zip(keys, mapped, strict=True):
        np.testing.assert_array_equal(uniform(key, (5,), float32), row)
