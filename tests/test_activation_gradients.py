"""Values and derivatives of every activation at every finite input of half precision.

And on a logarithmic grid of float32 and float64. Subnormal numbers, which XLA flushes to zero, are
left out, and so is what lies within rounding of a kink.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from jcnn import activations, layers


def softplus(x):
    return np.logaddexp(x, 0)


def gelu(x):
    near = np.clip(x, -1e3, 1e3)
    return x * expit(np.sqrt(8 / np.pi) * (near + 0.044715 * near**3))


def gelu_slope(x):
    x = np.clip(x, -1e3, 1e3)
    s = expit(np.sqrt(8 / np.pi) * (x + 0.044715 * x**3))
    return s + x * s * (1 - s) * np.sqrt(8 / np.pi) * (1 + 3 * 0.044715 * x**2)


def mish_slope(x):
    x = np.clip(x, -1e3, 1e3)
    t = np.tanh(softplus(x))
    return t + x * (1 - t**2) * expit(x)


def silu_slope(x):
    x = np.clip(x, -1e3, 1e3)
    return expit(x) * (1 + x * expit(-x))


def exponential(slope, below):
    """The value and the derivative of `slope * x` above 0 and `slope * below * (e^x - 1)` below."""
    return (
        lambda x: slope * np.where(x > 0, x, below * np.expm1(np.minimum(x, 0))),
        lambda x: slope * np.where(x > 0, 1, below * np.exp(np.minimum(x, 0))),
    )


def sech2(x):
    return 1 / np.cosh(np.clip(x, -300, 300)) ** 2


def between(low, high):
    return lambda x: (x > low) & (x < high)


# name: (value, derivative, kinks)
CLOSED = {
    "sigmoid": (expit, lambda x: expit(x) * expit(-x), ()),
    "tanh": (np.tanh, sech2, ()),
    "scaled_tanh": (
        lambda x: 1.7159 * np.tanh(x / 1.5),
        lambda x: 1.7159 / 1.5 * sech2(x / 1.5),
        (),
    ),
    "relu": (lambda x: np.maximum(x, 0), between(0, np.inf), ()),
    "leaky_relu": (lambda x: np.where(x > 0, x, x / 100), lambda x: np.where(x >= 0, 1, 0.01), ()),
    "prelu": (lambda x: np.where(x > 0, x, x / 4), lambda x: np.where(x > 0, 1, 0.25), ()),
    "elu": (*exponential(1, 1), ()),
    "selu": (*exponential(1.0507009873554805, 1.6732632423543772), ()),
    "celu": (*exponential(1, 1), ()),
    "gelu": (gelu, gelu_slope, ()),
    "silu": (lambda x: x * expit(x), silu_slope, ()),
    "mish": (lambda x: x * np.tanh(softplus(x)), mish_slope, ()),
    "softplus": (softplus, expit, ()),
    "softsign": (lambda x: x / (1 + abs(x)), lambda x: (1 / (1 + abs(x))) ** 2, ()),
    "hard_tanh": (lambda x: np.clip(x, -1, 1), between(-1, 1), (-1, 1)),
    "hard_sigmoid": (
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: between(-3, 3)(x) / 6,
        (-3, 3),
    ),
    "hard_silu": (
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(x > 3, 1, np.where(x < -3, 0, np.clip(x, -3, 3) / 3 + 0.5)),
        (-3, 3),
    ),
    "log_sigmoid": (lambda x: -softplus(-x), lambda x: expit(-x), ()),
    "relu6": (lambda x: np.clip(x, 0, 6), between(0, 6), (6,)),
    "identity": (lambda x: x, np.ones_like, ()),
}


def inputs(dtype):
    """Every finite number of a half precision; else a grid over all magnitudes, and a fine one."""
    if dtype.itemsize == 2:
        x = np.arange(2**16, dtype=np.uint16).view(dtype)
    else:
        info = np.finfo(dtype)
        far = np.geomspace(float(info.tiny), float(info.max) * 0.999, 2000)
        x = np.concatenate([-far, far, np.linspace(-30, 30, 2001)]).astype(dtype)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        wide = x.astype(np.float64)
    normal = (abs(wide) >= float(jnp.finfo(dtype).tiny)) | (wide == 0)
    return x[np.isfinite(wide) & normal]


def test_every_activation_has_a_closed_form():
    assert set(CLOSED) == set(activations.ACTIVATIONS)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_value_and_derivative_at_every_input(name, dtype):
    value, slope, kinks = CLOSED[name]
    x = inputs(jnp.dtype(dtype))
    wide, eps = x.astype(np.float64), float(jnp.finfo(dtype).eps)
    at_kink = np.any([abs(wide - kink) <= 4 * eps * abs(kink) for kink in kinks], axis=0)
    x, wide = (x[~at_kink], wide[~at_kink]) if kinks else (x, wide)
    with jax.enable_x64(True):
        function = activations.ACTIVATIONS[name]
        got, tangent = jax.jvp(function, (jnp.asarray(x),), (jnp.ones(x.shape, x.dtype),))
        gradient = jax.vjp(function, jnp.asarray(x))[1](jnp.ones(x.shape, x.dtype))[0]
        assert got.dtype == tangent.dtype == gradient.dtype == dtype
        got, tangent, gradient = (np.asarray(a, np.float64) for a in (got, tangent, gradient))
    tolerance = (4 if x.itemsize == 2 else 200) * eps
    largest = float(jnp.finfo(dtype).max)
    with np.errstate(over="ignore"):
        want = value(wide)
    want = np.where(abs(want) > largest, np.copysign(np.inf, want), want)
    overflows = abs(want) > (1 - tolerance) * largest  # or may, by rounding
    assert (np.isinf(got) <= overflows).all()
    np.testing.assert_allclose(got[~overflows], want[~overflows], rtol=tolerance, atol=tolerance)
    for derivative in (tangent, gradient):
        np.testing.assert_allclose(derivative, slope(wide), rtol=tolerance, atol=tolerance)


def test_gelu_is_that_of_jax_where_that_does_not_overflow():
    x = jnp.linspace(-9, 9, 1001)
    for approximate in (True, False):
        got = activations.gelu(x, approximate)
        np.testing.assert_allclose(got, jax.nn.gelu(x, approximate), rtol=1e-5, atol=1e-6)


def test_sequential_recognizes_both_gelus():
    for function in (activations.gelu, jax.nn.gelu):
        assert isinstance(layers.Sequential(function).gelu_1, layers.Activation)
