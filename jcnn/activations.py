"""Elementwise activations, and the properties that decide how they behave in a deep network.

Functions of `jax.nn` have the same name here, and are the same except for `gelu`. Every function is
elementwise and keeps the shape and any floating dtype of its input. Derivatives at kinks are those
of the code: relu'(0) = 0, relu6'(0) = relu6'(6) = 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jcnn.errors import nearest
from jcnn.quadrature import output_moments

__all__ = [
    "ACTIVATIONS",
    "Facts",
    "celu",
    "elu",
    "facts",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "scaled_tanh",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "variance_gain",
]

sigmoid = jax.nn.sigmoid
tanh = jnp.tanh
relu = jax.nn.relu
leaky_relu = jax.nn.leaky_relu
elu = jax.nn.elu
selu = jax.nn.selu
celu = jax.nn.celu
silu = jax.nn.silu
mish = jax.nn.mish
softplus = jax.nn.softplus
softsign = jax.nn.soft_sign
hard_tanh = jax.nn.hard_tanh
hard_sigmoid = jax.nn.hard_sigmoid
hard_silu = jax.nn.hard_silu
log_sigmoid = jax.nn.log_sigmoid
relu6 = jax.nn.relu6
identity = jax.nn.identity


@partial(jax.jit, static_argnames="approximate")  # named in traces, as those of jax.nn are
def gelu(x: ArrayLike, approximate: bool = True) -> Array:
    """`x Phi(x)`, where Phi is the standard normal distribution function (Hendrycks et al. 2016).

    If `approximate`, Phi(x) is `sigmoid(2 u)` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, which is
    `jax.nn.gelu` without its overflow: there the derivative is NaN where `3 x^2` is infinite (from
    |x| = 148 in float16). Half precision is computed in float32.

    >>> jax.vmap(jax.grad(gelu))(jnp.array([-300.0, 300.0], jnp.float16)).tolist()
    [0.0, 1.0]
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.result_type(float))
    wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
    if not approximate:
        return jax.nn.gelu(wide, approximate=False).astype(x.dtype)
    near = jnp.clip(wide, -_FLAT, _FLAT)
    twice = math.sqrt(8 / math.pi) * (near + 0.044715 * near**3)
    return (wide * jax.nn.sigmoid(twice)).astype(x.dtype)


# Beyond this |x|, Phi of gelu is 0 or 1 in float64 and does not change.
_FLAT = 24.0


def scaled_tanh(x: ArrayLike) -> Array:
    """`1.7159 tanh(2x/3)`: passes through (1, 1) and (-1, -1) (LeCun et al. 1998).

    >>> round(float(scaled_tanh(1.0)), 3)
    1.0
    """
    return 1.7159 * jnp.tanh(jnp.asarray(x) * (2 / 3))


def prelu(x: ArrayLike, slope: ArrayLike = 0.25) -> Array:
    """`x` if positive, else `slope * x`; the slope may be learned (He et al. 2015).

    `slope` is one number or one per channel. At x = 0 the derivative is the slope. The gradient for
    the slope is the sum of `x` over negative inputs.

    >>> prelu(jnp.array([-2.0, 3.0]), 0.5).tolist()
    [-1.0, 3.0]
    """
    x = jnp.asarray(x)
    slope = jnp.asarray(slope, x.dtype)
    slope = slope.reshape((1,) * (x.ndim - slope.ndim) + slope.shape)
    return jnp.where(x > 0, x, slope * x)


ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "scaled_tanh": scaled_tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": elu,
    "selu": selu,
    "celu": celu,
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "softplus": softplus,
    "softsign": softsign,
    "hard_tanh": hard_tanh,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "log_sigmoid": log_sigmoid,
    "relu6": relu6,
    "identity": identity,
}


@dataclass(frozen=True)
class Facts:
    """Properties of an elementwise function f; z is a standard normal input.

    `range` is (infimum, supremum) of f; `zero_centred` says whether E[f(z)] = 0; `saturates` lists
    the ends ("low": x -> -inf, "high": x -> +inf) at which the derivative tends to 0;
    `max_derivative` is the largest |f'(x)|; `variance_gain` is that of `variance_gain(f)`.
    """

    name: str
    range: tuple[float, float]
    zero_centred: bool
    saturates: tuple[str, ...]
    max_derivative: float
    variance_gain: float


def variance_gain(function: Callable[..., Array]) -> float:
    """Return `Var[f(z)] ** -0.5` for z standard normal; infinite for a constant.

    Weights multiplied by it keep variance 1 in a signal that is centred on the way, by weight
    standardization or batch normalization (Brock et al. 2021, "Characterizing signal propagation").
    `jcnn.initializers.gain` keeps the second moment of a signal that is not centred.

    Raises ValueError if the function is not elementwise, or not finite.

    >>> round(variance_gain(relu), 4)
    1.7129
    """
    variance = output_moments(function)[1]
    return variance**-0.5 if variance > 0 else math.inf


def facts(function: Callable[..., Array] | str) -> Facts:
    """Measure the properties of an elementwise function, or of one named in `ACTIVATIONS`.

    Everything is computed from the function itself: moments by Gaussian quadrature, the range and
    derivatives on a grid over [-1000, 1000], where an end that still grows counts as infinite.

    Raises ValueError for an unknown name, with the nearest ones, and for a function that is not
    elementwise, that JAX cannot differentiate, or that is not finite on the grid; beyond |x| = 20
    values may overflow to infinity.

    >>> facts("sigmoid").max_derivative, facts("sigmoid").saturates, facts("relu").range
    (0.25, ('low', 'high'), (0.0, inf))
    """
    if isinstance(function, str):
        if function not in ACTIVATIONS:
            raise nearest("activation", function, ACTIVATIONS)
        return _measure(ACTIVATIONS[function], function)
    names = {id(activation): name for name, activation in ACTIVATIONS.items()}
    name = names.get(id(function), getattr(function, "__name__", type(function).__name__))
    try:
        hash(function)
    except TypeError:
        return _measure.__wrapped__(function, name)
    return _measure(function, name)


_LIMIT = 1000.0


@lru_cache(maxsize=256)
def _measure(function: Callable[..., Array], name: str) -> Facts:
    # A fine grid that contains 0 and the usual kinks, and a geometric one far out.
    near = np.linspace(-20, 20, 8001, dtype=np.float32)
    far = np.geomspace(20.5, _LIMIT, 200, dtype=np.float32)
    x = jnp.asarray(np.concatenate([-far[::-1], near, far]))
    try:
        _check_elementwise(function, x)
        values = np.asarray(function(x), np.float64)
        slopes = np.asarray(jax.vmap(jax.grad(function))(x), np.float64)
    except (TypeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{name}: expected an elementwise JAX function, but {reason}") from error
    _check_finite(name, np.asarray(x), values, slopes)
    slopes = slopes[~np.isnan(slopes)]
    ends = (abs(slopes[0]) < 1e-3, abs(slopes[-1]) < 1e-3)
    return Facts(
        name=name,
        range=(_bound(values, slopes, min), _bound(values, slopes, max)),
        zero_centred=abs(output_moments(function)[0]) < 1e-4,
        saturates=tuple(end for end, flat in zip(("low", "high"), ends, strict=True) if flat),
        max_derivative=round(float(np.abs(slopes).max()), 6),
        variance_gain=variance_gain(function),
    )


def _check_elementwise(function: Callable[..., Array], x: Array) -> None:
    shape = np.shape(function(x))
    if shape != x.shape:
        raise ValueError(f"it turns shape {x.shape} into {shape}")
    # Neither sorted nor symmetric, and the largest is neither first nor last.
    mixed = jnp.array([0.7, -3.0, 12.0, -0.3], x.dtype)
    alone = np.concatenate([np.asarray(function(mixed[k : k + 1])) for k in range(len(mixed))])
    if not np.allclose(function(mixed), alone, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ValueError("its values depend on the other elements")


def _check_finite(name: str, x: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> None:
    # Far out a part may overflow, such as exp(1000) or the derivative of x / (1 + exp(-x)).
    broken = np.isnan(values) | ((abs(x) <= 20) & (np.isinf(values) | np.isnan(slopes)))
    if broken.any():
        at = np.flatnonzero(broken)[0]
        raise ValueError(
            f"{name}: at x = {x[at]:g} the value is {values[at]:g} and the derivative "
            f"{slopes[at]:g}; expected finite ones: clip the input, or write the function so that "
            "no part overflows"
        )


def _bound(values: np.ndarray, slopes: np.ndarray, extreme: Callable[..., float]) -> float:
    """Return the least or greatest value; infinite if it lies at an end that still grows."""
    bound = float(extreme(values))
    sign = 1.0 if extreme is max else -1.0
    if math.isinf(bound):
        return bound
    # A bounded function may approach its limit slowly: softsign grows by under 5% from |x| = 141
    # to 1000.
    for end, inner in ((0, 100), (-1, -101)):
        if values[end] == bound and slopes[end] != 0:
            step = sign * (values[end] - values[inner])
            if step > 0.05 * abs(values[end]):
                return sign * math.inf
    return round(bound, 2) if abs(bound - round(bound, 2)) < 2e-3 else bound


def __dir__() -> list[str]:
    return __all__
