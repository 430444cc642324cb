"""The generalized mean over windows."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jcnn.arguments import floating
from jcnn.pooling._sums import scale_of, scaled_power_sum
from jcnn.pooling._window import FEW, Padding, pad, tile, tile_taps, tiles, windows

# The largest whole p whose powers are products.
_MOST_FACTORS = 16


def gem_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    p: ArrayLike = 3.0,
    dilation: int | Sequence[int] | None = None,
    epsilon: float = 1e-6,
) -> Array:
    """Return the generalized mean `(mean max(x, epsilon)^p)^(1/p)` (Radenovic et al. 2019).

    Arguments as in `max_pool`; p may be learned. p = 1 is the average (of positive inputs), large p
    approaches the maximum. Below `epsilon` the gradient is 0. Padding counts as `epsilon`. `x` is
    divided by the window's largest value before powers are taken: a window of zeros gives `epsilon`
    and finite gradients for every p. A whole p that is a Python number is several times faster than
    one that is an array.

    >>> x = jnp.array([1.0, 3.0])[:, None]  # between the average and the maximum
    >>> [round(float(gem_pool(x, (2,), p=p)[0, 0]), 2) for p in (1.0, 3.0, 50.0)]
    [2.0, 2.41, 2.96]
    """
    x = floating(x)
    over = windows(x, window_shape, strides, padding, dilation)
    wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
    wide = pad(jnp.maximum(wide, epsilon), over, epsilon)
    power = jnp.asarray(p).astype(wide.dtype)
    size = math.prod(w.size for w in over)
    if tiles(over) and size <= FEW:
        split, inner = tile(wide, over)
        if isinstance(p, Real) and float(p).is_integer() and 1 <= p <= _MOST_FACTORS:
            return _whole_power_mean(split, inner, int(p)).astype(x.dtype)
        return _power_mean(split, power, inner).astype(x.dtype)
    scale, total = scaled_power_sum(wide, power, over)
    return (scale * (total / size) ** (1 / power)).astype(x.dtype)


# Derivatives by x and p are those of the plain formula: (x / y)^(p - 1) / n, which cannot overflow,
# and y / p times the mean of (x / y)^p log(x / y). JAX's own take several times as long.


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _whole_power_mean(x: Array, inner: tuple[int, ...], p: int) -> Array:
    return _mean(x, inner, lambda ratio: lax.integer_pow(ratio, p), p)


@_whole_power_mean.defjvp
def _whole_power_mean_jvp(
    inner: tuple[int, ...], p: int, primals: tuple[Array], tangents: tuple[Any]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _whole_power_mean(x, inner, p)
    share = lax.integer_pow(x * jnp.expand_dims(_inverse(y), inner), p - 1)
    return y, jnp.sum(share * dx, axis=inner) / math.prod(x.shape[axis] for axis in inner)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _power_mean(x: Array, p: Array, inner: tuple[int, ...]) -> Array:
    return _mean(x, inner, lambda ratio: _power(ratio, p), p)


@_power_mean.defjvp
def _power_mean_jvp(
    inner: tuple[int, ...], primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    (x, p), (dx, dp) = primals, tangents
    y = _power_mean(x, p, inner)
    inverse = _inverse(y)
    ratio = x * jnp.expand_dims(inverse, inner)
    share = lax.optimization_barrier(_power(ratio, p - 1))
    # Slices vectorize where an array of split axes does not.
    slopes = [_slope(tap * inverse, p) for tap in tile_taps(x, inner) or []]
    by_p = lax.optimization_barrier(functools.reduce(operator.add, slopes) * y / p)
    return y, (jnp.sum(share * dx, axis=inner) + by_p * dp) / len(slopes)


def _power(ratio: Array, p: Array) -> Array:
    # Several times as fast as `**` on CPU. Where the result matters, p log(ratio) is small.
    return jnp.where(ratio > 0, jnp.exp(p * jnp.log(jnp.where(ratio > 0, ratio, 1))), 0)


def _slope(ratio: Array, p: Array) -> Array:
    return _power(ratio, p) * jnp.log(jnp.where(ratio > 0, ratio, 1))


def _mean(x: Array, inner: tuple[int, ...], power: Callable[[Array], Array], p: ArrayLike) -> Array:
    slices = tile_taps(x, inner) or []
    scale = scale_of(functools.reduce(jnp.maximum, slices))
    inverse = 1 / scale
    total = functools.reduce(operator.add, [power(tap * inverse) for tap in slices])
    return scale * jnp.exp(jnp.log(total / len(slices)) / p)


def _inverse(y: Array) -> Array:
    positive = y > 0
    return jnp.where(positive, 1 / jnp.where(positive, y, 1), 0)
