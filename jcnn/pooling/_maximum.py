"""Max pooling, with the gradient to the first maximum and no select-and-scatter."""

import functools
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.pooling._overlap import Axes, along, at_offsets, encoded, overlapping, window_taps
from jcnn.pooling._window import (
    Padding,
    Window,
    pad,
    taps,
    tile,
    tile_order,
    tile_taps,
    tiles,
    windows,
)


def max_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return the largest value of each window.

    `x` is `(*batch, *spatial, channels)` with any real dtype. `window_shape` has one size per
    spatial axis (1 to 3); an integer covers all axes between the first (batch) and the last
    (channels), so that `max_pool(x, 2)` halves images, series and volumes alike. `strides` default
    to the window (Flax's default is 1). `padding` is `"SAME"`, `"VALID"`, an integer for both sides
    of every axis, or one `(low, high)` pair per spatial axis; padding never wins. NaN in a window
    gives NaN.

    The gradient goes to the maximum; at ties to the first one in row-major order of the window, as
    in PyTorch. A window that contains NaN passes no gradient on. Forward mode and second
    derivatives work.

    Raises ValueError if window, strides, padding or dilation do not fit `x`, TypeError for bool and
    complex.

    >>> import jax.numpy as jnp
    >>> max_pool(jnp.arange(16.0).reshape(4, 4, 1), (2, 2))[..., 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    x = real(x)
    over = windows(x, window_shape, strides, padding, dilation)
    if jnp.issubdtype(x.dtype, jnp.floating):
        least: float | int = -jnp.inf
    else:
        least = jnp.iinfo(x.dtype).min
    x = pad(x, over, least)
    if tiles(over):
        split, inner = tile(x, over)
        return tile_max(split, inner)
    axes = overlapping(x, over)
    if axes is not None:
        return _max_of_few(x, axes)
    # Last axis first: the first maximum in row-major order is in the first row that contains the
    # maximum, and there in the first column.
    for window in reversed(over):
        flat, back = along(x, window)
        axes = overlapping(flat, [window])
        x = _max_along(x, window) if axes is None else back(_max_of_few(flat, axes))
    return x


def real(x: ArrayLike) -> Array:
    """Return `x` as an array; TypeError if its dtype is not real."""
    x = jnp.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or jnp.issubdtype(x.dtype, jnp.integer)):
        raise TypeError(f"x is {x.dtype}; expected a real dtype: cast with .astype")
    return x


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def tile_max(x: Array, axes: tuple[int, ...]) -> Array:
    """Return the maximum over window axes; its derivative is that of the first maximum."""
    slices = tile_taps(x, axes)
    return jnp.max(x, axis=axes) if slices is None else functools.reduce(jnp.maximum, slices)


@tile_max.defjvp
def _tile_max_jvp(
    axes: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = tile_max(x, axes)
    order = tile_order(x, axes)
    slices = tile_taps(x, axes)
    if slices is None:
        last = jnp.iinfo(jnp.int32).max
        hit = x == jnp.expand_dims(y, axes)
        first = jnp.min(jnp.where(hit, order, last), axis=axes)
    else:
        # Stays -1 if nothing equals the maximum, which is then NaN.
        first = jnp.full(y.shape, -1, jnp.int32)
        for k in range(len(slices) - 1, -1, -1):
            first = jnp.where(slices[k] == y, k, first)
    chosen = jnp.expand_dims(first, axes) == order
    return y, jnp.sum(jnp.where(chosen, dx, jnp.zeros_like(dx)), axis=axes)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_few(x: Array, axes: Axes) -> Array:
    return functools.reduce(jnp.maximum, window_taps(x, axes))


@_max_of_few.defjvp
def _max_of_few_jvp(
    axes: Axes, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _max_of_few(x, axes)
    first = jnp.full(y.shape, -1, jnp.int32)  # stays if the maximum is NaN
    for offset, tap in reversed(list(zip(encoded(axes), window_taps(x, axes), strict=True))):
        first = jnp.where(tap == y, offset, first)
    return y, at_offsets(dx, first, axes)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_along(x: Array, window: Window) -> Array:
    first, *others = taps(x, window)
    for other in others:
        first = jnp.maximum(first, other)
    return first


@_max_along.defjvp
def _max_along_jvp(
    window: Window, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _max_along(x, window)
    free = jnp.ones(y.shape, bool)
    dy = jnp.zeros_like(y)
    for tap, tangent in zip(taps(x, window), taps(dx, window), strict=True):
        hit = free & (tap == y)
        dy = dy + jnp.where(hit, tangent, jnp.zeros_like(tangent))
        free = free & ~hit
    return y, dy
