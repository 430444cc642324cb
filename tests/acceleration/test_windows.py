"""Windowed reductions of `lax` in terms of pooling, for any axes, strides, padding and dilation."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jcnn import accelerate

REDUCTIONS = {
    "max": (lax.max, -jnp.inf),
    "min": (lax.min, jnp.inf),
    "sum": (lax.add, 0.0),
}


@st.composite
def windows(draw):
    """A shape of 1 to 5 axes, with windows over up to three neighbouring ones."""
    ndim = draw(st.integers(1, 5))
    shape = tuple(draw(st.integers(1, 5)) for _ in range(ndim))
    first = draw(st.integers(0, ndim - 1))
    last = draw(st.integers(first, min(first + 2, ndim - 1)))
    window, strides, padding, dilation = [], [], [], []
    for axis, length in enumerate(shape):
        inside = first <= axis <= last
        size = draw(st.integers(1, 3)) if inside else 1
        gap = draw(st.integers(1, 2)) if inside else 1
        reach = (size - 1) * gap + 1
        low = draw(st.integers(0, min(2, reach - 1)))
        high = max(draw(st.integers(0, min(2, reach - 1))), reach - length - low)
        window.append(size)
        strides.append(draw(st.integers(1, 3)) if inside else 1)
        padding.append((low, high))
        dilation.append(gap)
    return shape, tuple(window), tuple(strides), tuple(padding), tuple(dilation)


def check(name, case):
    shape, *arguments, dilation = case
    reduction, start = REDUCTIONS[name]
    rng = np.random.default_rng(0)
    # Values that differ, so that the largest is one.
    x = jnp.asarray(rng.permutation(int(np.prod(shape))).reshape(shape) - 7, jnp.float32)

    def function(x):
        return lax.reduce_window(x, start, reduction, *arguments, window_dilation=dilation)

    def everything(function):
        y, pullback = jax.vjp(function, x)
        cotangent = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return y, pullback(cotangent)[0], jax.jvp(function, (x,), (jnp.sin(x),))[1]

    try:
        plain = jax.jit(lambda: everything(function))()
    except NotImplementedError:  # JAX has no derivative of this one
        np.testing.assert_allclose(accelerate(function)(x), function(x), rtol=1e-6)
        return
    ours = jax.jit(lambda: everything(accelerate(function)))()
    for a, b in zip(ours, plain, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(case=windows())
def test_equals_lax(name, case):
    check(name, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=50, deadline=None)
@given(case=windows())
def test_equals_lax_at_length(name, case):
    check(name, case)


@pytest.mark.parametrize(
    "shape_and_window",
    [((2, 6, 6, 3), (1, 2, 2, 1)), ((2, 3, 6, 6), (1, 1, 2, 2)), ((4, 8), (2, 2)), ((9,), (3,))],
)
def test_none_is_left(shape_and_window):
    shape, window = shape_and_window
    for name, strides in itertools.product(REDUCTIONS, (window, (1,) * len(window))):
        reduction, start = REDUCTIONS[name]
        pool = partial(
            lax.reduce_window,
            init_value=start,
            computation=reduction,
            window_dimensions=window,
            window_strides=strides,
            padding="SAME",
        )
        assert "reduce_window" not in str(jax.make_jaxpr(accelerate(pool))(jnp.ones(shape)))


def test_the_first_of_equal_values_has_the_gradient():
    x = jnp.array([1.0, 1.0, 0.0, 2.0, 2.0])

    def pooled(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (3,), (2,), "VALID")

    expected = jax.grad(lambda x: pooled(x).sum())(x)
    np.testing.assert_array_equal(jax.grad(lambda x: accelerate(pooled)(x).sum())(x), expected)
    assert expected.tolist() == [1.0, 0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.uint8])
def test_the_largest_integer(dtype):
    x = jnp.arange(24, dtype=dtype).reshape(4, 6)

    least = np.array(jnp.iinfo(dtype).min, dtype)

    def pooled(x):
        return lax.reduce_window(x, least, lax.max, (2, 2), (1, 2), "SAME")

    assert "reduce_window" not in str(jax.make_jaxpr(accelerate(pooled))(x))
    np.testing.assert_array_equal(accelerate(pooled)(x), pooled(x))


def test_windows_of_many_positions_stay_unless_they_cover_the_axis():
    """One slice per position would take minutes to compile."""
    x = jax.random.normal(jax.random.key(0), (3000, 2))

    def pooled(x, size):
        return lax.reduce_window(x, 0.0, lax.add, (size, 1), (1, 1), "VALID")

    for size, is_left in ((3000, False), (2000, True)):
        function = accelerate(partial(pooled, size=size))
        assert ("reduce_window" in str(jax.make_jaxpr(function)(x))) is is_left
        np.testing.assert_allclose(function(x), pooled(x, size), atol=1e-3)


def test_a_sum_of_half_precision_is_accumulated_in_float32():
    x = jnp.full((1, 4096), 0.1, jnp.bfloat16)
    pooled = accelerate(lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 4096), (1, 1), "VALID"))
    assert pooled(x).dtype == jnp.bfloat16
    np.testing.assert_allclose(pooled(x).astype(jnp.float32), [[410.0]], rtol=1e-2)
