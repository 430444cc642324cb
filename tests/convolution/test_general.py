"""`conv_general_dilated` against `lax`, for any layout, stride, padding, dilation and groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from jcnn.convolution import conv_general_dilated


@st.composite
def convolutions(draw):
    """Shapes and arguments that `lax` accepts, most of them unusual."""
    n = draw(st.integers(1, 3))

    def per_axis(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(n))

    groups, batches = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]))
    dilated = draw(st.booleans())
    strides = (1,) * n if dilated else per_axis(1, 3)
    spread = per_axis(1, 3) if dilated else (1,) * n
    window, dilation = per_axis(1, 4), per_axis(1, 2)
    spatial = per_axis(1, 7)
    reach = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    span = [(s - 1) * d + 1 for s, d in zip(spatial, spread, strict=True)]
    padding = []
    for r, s in zip(reach, span, strict=True):
        low = draw(st.integers(-1, 3))
        least = max(r - s - low, -1)  # at least one output
        padding.append((low, least + draw(st.integers(0, 3))))
    inputs, outputs = draw(st.integers(1, 3)), groups * batches * draw(st.integers(1, 2))
    lhs = (batches * draw(st.integers(1, 2)), groups * inputs, *spatial)
    rhs = (outputs, inputs, *window)
    orders = [draw(st.permutations(range(n + 2))) for _ in range(3)]
    shapes = [
        tuple(shape[i] for i in order) for shape, order in zip((lhs, rhs), orders, strict=False)
    ]
    numbers = lax.ConvDimensionNumbers(*(tuple(map(order.index, range(n + 2))) for order in orders))
    return shapes, (strides, padding, spread, dilation, numbers, groups, batches)


def everything(function, arguments, x, kernel):
    """The value, both gradients, and a derivative forwards along another direction."""

    def all_of_them(x, kernel):
        y, pullback = jax.vjp(lambda *xs: function(*xs, *arguments), x, kernel)
        cotangent = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        tangents = (jnp.sin(x), jnp.cos(kernel))
        forward = jax.jvp(lambda *xs: function(*xs, *arguments), (x, kernel), tangents)[1]
        return y, *pullback(cotangent), forward

    return jax.jit(all_of_them)(x, kernel)


def check(case):
    (lhs, rhs), arguments = case
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=lhs), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=rhs), jnp.float32)
    found = everything(conv_general_dilated, arguments, x, kernel)
    expected = everything(lax.conv_general_dilated, arguments, x, kernel)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(convolutions())
def test_equals_lax(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(convolutions())
def test_equals_lax_at_length(case):
    check(case)


KERNEL = jnp.ones((3, 3, 2, 4))
IMAGES = jnp.ones((2, 6, 6, 2))
NUMBERS = ("NHWC", "HWIO", "NHWC")


@pytest.mark.parametrize(
    ("x", "kernel", "options"),
    [
        (IMAGES, KERNEL, {"window_strides": (1,), "padding": "SAME"}),
        (IMAGES, KERNEL, {"window_strides": (0, 1), "padding": "SAME"}),
        (IMAGES, KERNEL, {"window_strides": (1, 1), "padding": "EQUAL"}),
        (IMAGES, KERNEL[:, :, :1], {"window_strides": (1, 1), "padding": "SAME"}),
        (IMAGES, KERNEL.astype(jnp.bfloat16), {"window_strides": (1, 1), "padding": "SAME"}),
        (IMAGES, KERNEL[0], {"window_strides": (1, 1), "padding": "SAME"}),
        (IMAGES, KERNEL, {"window_strides": (1, 1), "padding": "SAME", "feature_group_count": 3}),
        (IMAGES, KERNEL, {"window_strides": (1, 1), "padding": "SAME", "lhs_dilation": (2, 2)}),
    ],
)
def test_errors_are_those_of_lax(x, kernel, options):
    options = {"dimension_numbers": NUMBERS, **options}
    with pytest.raises(Exception) as expected:  # noqa: PT011
        lax.conv_general_dilated(x, kernel, **options)
    with pytest.raises(type(expected.value)) as found:
        conv_general_dilated(x, kernel, **options)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("padding", ["SAME", "VALID", "SAME_LOWER"])
def test_named_padding_and_default_layout(padding):
    x, kernel = jnp.ones((2, 2, 6, 6)), jnp.ones((4, 2, 3, 3))
    found = conv_general_dilated(x, kernel, (2, 2), padding)
    np.testing.assert_array_equal(found, lax.conv_general_dilated(x, kernel, (2, 2), padding))


def test_what_is_left_to_lax():
    """Integers, no outputs, strides together with dilated inputs, no spatial axes."""
    counts = conv_general_dilated(
        jnp.ones((1, 4, 4, 1), jnp.int32), jnp.ones((2, 2, 1, 1), jnp.int32), (1, 1), "VALID",
        dimension_numbers=NUMBERS,
    )  # fmt: skip
    assert (counts.dtype, int(counts[0, 0, 0, 0])) == (jnp.int32, 4)
    empty = conv_general_dilated(jnp.ones((1, 1, 2)), jnp.ones((3, 1, 4)), (1,), "VALID")
    assert empty.shape == (1, 3, 0)
    none = conv_general_dilated(jnp.ones((0, 1, 4)), jnp.ones((3, 1, 2)), (1,), "VALID")
    assert none.shape == (0, 3, 3)
    both = conv_general_dilated(jnp.ones((1, 1, 4)), jnp.ones((3, 1, 2)), (2,), [(0, 0)], (2,))
    assert both.shape == (1, 3, 3)
    matrix = conv_general_dilated(jnp.ones((2, 3)), jnp.ones((4, 3)), (), ())
    np.testing.assert_array_equal(matrix, 3 * np.ones((2, 4)))
