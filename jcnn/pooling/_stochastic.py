"""Stochastic pooling: one value of each window, drawn with probability proportional to it."""

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.random import threefry_2x32
from jax.typing import ArrayLike

from jcnn.arguments import floating
from jcnn.pooling._overlap import at_offsets, encoded, overlapping
from jcnn.pooling._window import (
    FEW,
    Padding,
    Window,
    all_taps,
    pad,
    tile,
    tile_order,
    tile_taps,
    tiles,
    windows,
)


def stochastic_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
    deterministic: bool = False,
    key: Array | None = None,
) -> Array:
    """Draw one value of each window with probability `max(x, 0) / sum` (Zeiler & Fergus 2013).

    Arguments as in `max_pool`. `deterministic=True` returns the mean under those probabilities
    instead. A window without positive values gives 0; one that contains NaN or whose sum is
    infinite gives NaN or infinity. The gradient goes to the value drawn, that of the mean to all
    values in proportion to their probabilities; the probabilities are treated as constants. Padding
    is zero, so it is never drawn.

    Raises ValueError if `key` is missing and `deterministic` is False.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.tile(jnp.array([[1.0], [3.0]]), (1000, 1))
    >>> y = stochastic_pool(x, (2,), key=jax.random.key(0))  # 3 with probability 3/4
    >>> bool(abs(float(y.mean()) - (0.25 * 1 + 0.75 * 3)) < 0.1)
    True
    """
    x = floating(x)
    over = windows(x, window_shape, strides, padding, dilation)
    wide = pad(x.astype(jnp.float32) if x.dtype.itemsize < 4 else x, over, 0.0)
    if deterministic:
        return _mean(wide, over).astype(x.dtype)
    if key is None:
        raise ValueError("stochastic_pool is random: pass key=, or deterministic=True")
    shape = list(wide.shape)
    for window in over:
        shape[window.axis] = window.outputs(x.shape[window.axis])
    share = uniform(key, shape, wide.dtype)
    return _drawn(wide, share, over).astype(x.dtype)


def uniform(key: Array, shape: Sequence[int], dtype: jnp.dtype) -> Array:
    """Return numbers in [0, 1) as `jax.random.uniform`, from half as many evaluations of Threefry.

    JAX draws one number per evaluation, so that they do not depend on the shape.
    """
    if dtype != jnp.float32 or str(jax.random.key_impl(key)) != "threefry2x32":
        return jax.random.uniform(key, shape, dtype)
    count = math.prod(shape)
    counters = lax.iota(jnp.uint32, count + count % 2)
    bits = threefry_2x32(jax.random.key_data(key), counters)[:count].reshape(shape)
    from_1_to_2 = lax.bitcast_convert_type((bits >> 9) | jnp.uint32(0x3F800000), jnp.float32)
    return from_1_to_2 - 1


def _mean(x: Array, over: tuple[Window, ...]) -> Array:
    taps = _slices(x, over)
    total = _sum(_each(lambda tap: lax.stop_gradient(jnp.maximum(tap, 0)), taps))
    total = jnp.where(total == 0, 1, total)  # NaN stays

    def term(tap: Array) -> Array:
        return lax.stop_gradient(jnp.maximum(tap, 0) / total) * jnp.where(tap > 0, tap, 0)

    return _sum(_each(term, taps))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _drawn(x: Array, share: Array, over: tuple[Window, ...]) -> Array:
    """Return each window's first value at which the running sum exceeds `share` of the total."""
    return _chosen(_slices(x, over), share)[0]


@_drawn.defjvp
def _drawn_jvp(
    over: tuple[Window, ...], primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, share), (dx, _) = primals, tangents
    y, position = _chosen(_slices(x, over), share)
    if tiles(over):
        split, inner = tile(dx, over)
        hit = jnp.expand_dims(position, inner) == tile_order(split, inner)
        return y, jnp.sum(jnp.where(hit, split, jnp.zeros_like(split)), axis=inner)
    axes = overlapping(x, over)
    if axes is not None:
        offset = jnp.full(position.shape, -1, jnp.int32)
        for k, code in enumerate(encoded(axes)):
            offset = jnp.where(position == k, code, offset)
        return y, at_offsets(dx, offset, axes)
    return y, _at(_slices(dx, over), position)


def _slices(x: Array, over: tuple[Window, ...]) -> list[Array] | Array:
    """Return one slice per window position, in row-major order: a list, or stacked if many."""
    if not tiles(over):
        slices = all_taps(x, over)
        return slices if len(slices) <= FEW else jnp.stack(slices)
    split, inner = tile(x, over)
    few = tile_taps(split, inner)
    if few is not None:
        return few
    first = jnp.moveaxis(split, inner, range(len(inner)))
    return first.reshape(-1, *first.shape[len(inner) :])


def _chosen(taps: list[Array] | Array, share: Array) -> tuple[Array, Array]:
    """Return the value drawn from each window, and its position; -1 for a window without one."""
    positive = _each(lambda tap: jnp.maximum(tap, 0), taps)
    nowhere = position = jnp.full(share.shape, -1, jnp.int32)
    if isinstance(positive, list):
        sums = list(itertools.accumulate(positive))
        total = sums[-1]
        for k in range(len(sums) - 1, -1, -1):
            position = jnp.where(sums[k] > share * total, k, position)
    else:
        running = jnp.cumsum(positive, axis=0)
        total = running[-1]
        # The sums of a scan may decrease by rounding, and pass the mark where nothing was added.
        passed = jax.vmap(lambda so_far, tap: (so_far > share * total) & (tap > 0))(
            running, positive
        )
        first = jnp.argmax(passed, axis=0).astype(jnp.int32)
        position = jnp.where(jnp.any(passed, axis=0), first, nowhere)
    value = jnp.where(jnp.isfinite(total), _at(taps, position), total)
    return value, jnp.where(jnp.isfinite(total), position, nowhere)


def _at(taps: list[Array] | Array, position: Array) -> Array:
    """Return the value of each window at its position, and 0 if that is -1."""
    if isinstance(taps, list):
        value = jnp.zeros_like(taps[0])
        for k, tap in enumerate(taps):
            value = jnp.where(position == k, tap, value)
        return value
    order = jnp.arange(len(taps), dtype=jnp.int32)
    return _sum(jax.vmap(lambda k, tap: jnp.where(position == k, tap, 0))(order, taps))


def _each(function: Callable[[Array], Array], taps: list[Array] | Array) -> list[Array] | Array:
    return list(map(function, taps)) if isinstance(taps, list) else jax.vmap(function)(taps)


def _sum(terms: list[Array] | Array) -> Array:
    if isinstance(terms, list):
        return functools.reduce(operator.add, terms)
    return jnp.sum(terms, axis=0)
