"""Sums over the windows of an array: of its values, and of their powers."""

import functools
import operator
from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jcnn.pooling._maximum import tile_max
from jcnn.pooling._overlap import along, overlapping, weighted_sum
from jcnn.pooling._window import Window, all_taps, pad, taps, tile, tile_sum, tiles


def window_sum(x: Array, over: Sequence[Window]) -> Array:
    """Return the sum over each window; padding is zero."""
    x = pad(x, over, 0)
    if tiles(over):
        return tile_sum(*tile(x, over))
    axes = overlapping(x, over)
    if axes is not None:
        ones = jnp.ones((*(axis.size for axis in axes), 1), x.dtype)
        return weighted_sum(x, ones, axes)
    for window in reversed(over):  # a sum over a box is separable
        x = _sum_along(x, window)
    return x


def _sum_along(x: Array, window: Window) -> Array:
    """Return the sums over windows along one axis of a padded array."""
    flat, back = along(x, window)
    axes = overlapping(flat, [window])
    if axes is None:
        return functools.reduce(operator.add, taps(x, window))
    return back(weighted_sum(flat, jnp.ones((window.size, 1), x.dtype), axes))


def counts(x: Array, over: Sequence[Window], dtype: jnp.dtype) -> Array:
    """Return how many values of each window are not padding."""
    first = over[0].axis
    shape = (1,) * first + x.shape[first:-1] + (1,)
    return window_sum(jnp.ones(shape, dtype), over)


def scaled_power_sum(size: Array, p: ArrayLike, over: Sequence[Window]) -> tuple[Array, Array]:
    """Return `(m, sum (size / m)^p)`, where m is the largest value of each window.

    `size` is padded and not negative. `m * sum^(1/p)` does not depend on m, so m may be treated as
    a constant: value and derivatives are those of the plain formula, but no power overflows and the
    sum is at least 1.
    """
    if tiles(over):
        split, inner = tile(size, over)
        scale = scale_of(tile_max(split, inner))
        return scale, tile_sum(_power(split / jnp.expand_dims(scale, inner), p), inner)
    # Without the barrier XLA:CPU computes the powers of strided slices one by one, at a sixth of
    # the speed.
    values = lax.optimization_barrier(all_taps(size, over))
    scale = scale_of(functools.reduce(jnp.maximum, values))
    powers = [_power(tap / scale, p) for tap in values]
    return scale, functools.reduce(operator.add, powers)


def scale_of(largest: Array) -> Array:
    """Return the divisor of a window's values: the largest if it is positive and finite, or 1."""
    usable = (largest > 0) & jnp.isfinite(largest)
    return lax.stop_gradient(jnp.where(usable, largest, 1))


def _power(ratio: Array, p: ArrayLike) -> Array:
    """Return `ratio ** p` with derivative 0 at 0."""
    nonzero = ratio != 0
    return jnp.where(nonzero, jnp.where(nonzero, ratio, 1) ** p, 0)
