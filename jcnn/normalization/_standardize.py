"""Standardization over some axes, with a derivative of as few passes over the array as possible."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def average(x: Array, axes: Sequence[int], groups: int | None = None) -> Array:
    """Return the mean over `axes`, which keep length 1.

    With `groups`, also over each group of adjacent channels; every channel gets its group's mean.
    """
    mean = jnp.mean(x, axis=tuple(axes), keepdims=True)
    if groups is None:
        return mean
    channels = mean.shape[-1]
    grouped = mean.reshape(*mean.shape[:-1], groups, channels // groups)
    return jnp.broadcast_to(grouped.mean(-1, keepdims=True), grouped.shape).reshape(mean.shape)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def standardize(x: Array, axes: tuple[int, ...], groups: int | None, epsilon: float) -> Array:
    """Return `(x - mean) / sqrt(variance + epsilon)`; mean and variance as in `average`."""
    return _standardized(x, axes, groups, epsilon)[0]


@standardize.defjvp
def _jvp(
    axes: tuple[int, ...],
    groups: int | None,
    epsilon: float,
    primals: tuple[Array],
    tangents: tuple[Any],
) -> tuple[Array, Array]:
    # JAX would differentiate mean and variance apart, which takes twice as long. This map of the
    # tangent is symmetric, so that its transpose has as few passes.
    (dx,) = tangents
    y, factor = _standardized(primals[0], axes, groups, epsilon)
    along = average(y * dx, axes, groups)
    return y, factor * (dx - average(dx, axes, groups) - y * along)


def _standardized(
    x: Array, axes: tuple[int, ...], groups: int | None, epsilon: float
) -> tuple[Array, Array]:
    centered = x - average(x, axes, groups)
    factor = lax.rsqrt(average(jnp.square(centered), axes, groups) + epsilon)
    return centered * factor, factor
