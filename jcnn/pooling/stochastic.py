"""Stochastic pooling: a value of each window, drawn in proportion to its size."""

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import floating
from jcnn.pooling.overlap import at_offsets, encoded, overlapping
from jcnn.pooling.window import (
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
    """One value of each window, drawn with probability `max(x, 0) / sum` (Zeiler & Fergus 2013).

    `deterministic` returns the mean under those probabilities instead. A window without positive
    values gives 0; one that holds NaN or whose sum is infinite gives NaN or infinity. The gradient
    goes to the value drawn (of the mean to all, by their probabilities); the probabilities are
    constants. Padding is zero, so it is never drawn.

    Raises ValueError where `key` is missing and `deterministic` is false.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.tile(jnp.array([[1.0], [3.0]]), (1000, 1))
    >>> y = stochastic_pool(x, (2,), key=jax.random.key(0))  # 3 in three of four
    >>> bool(abs(float(y.mean()) - (0.25 * 1 + 0.75 * 3)) < 0.1)
    True
    """
    x = floating(x)
    over = windows(x, window_shape, strides, padding, dilation)
    wide = pad(x.astype(jnp.float32) if x.dtype.itemsize < 4 else x, over, 0.0)
    if deterministic:
        return _mean(wide, over).astype(x.dtype)
    if key is None:
        raise ValueError("stochastic_pool draws values: give key=, or deterministic=True")
    shape = list(wide.shape)
    for window in over:
        shape[window.axis] = window.outputs(x.shape[window.axis])
    share = jax.random.uniform(key, shape, wide.dtype)
    return _drawn(wide, share, over).astype(x.dtype)


def _mean(x: Array, over: tuple[Window, ...]) -> Array:
    seen = _seen(x, over)
    total = _sum(_each(lambda tap: jax.lax.stop_gradient(jnp.maximum(tap, 0)), seen))
    total = jnp.where(total == 0, 1, total)  # NaN stays

    def term(tap: Array) -> Array:
        return jax.lax.stop_gradient(jnp.maximum(tap, 0) / total) * jnp.where(tap > 0, tap, 0)

    return _sum(_each(term, seen))


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _drawn(x: Array, share: Array, over: tuple[Window, ...]) -> Array:
    """The first value of each window at which the running sum passes `share` of the whole."""
    return _chosen(_seen(x, over), share)[0]


@_drawn.defjvp
def _drawn_jvp(
    over: tuple[Window, ...], primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, share), (dx, _) = primals, tangents
    y, position = _chosen(_seen(x, over), share)
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
    return y, _at(_seen(dx, over), position)


def _seen(x: Array, over: tuple[Window, ...]) -> list[Array] | Array:
    """What each position of the window sees, in row-major order: a list, or where many an array."""
    if not tiles(over):
        found = all_taps(x, over)
        return found if len(found) <= FEW else jnp.stack(found)
    split, inner = tile(x, over)
    few = tile_taps(split, inner)
    if few is not None:
        return few
    first = jnp.moveaxis(split, inner, range(len(inner)))
    return first.reshape(-1, *first.shape[len(inner) :])


def _chosen(seen: list[Array] | Array, share: Array) -> tuple[Array, Array]:
    """The value drawn from each window, and its position there; -1 where there is none."""
    positive = _each(lambda tap: jnp.maximum(tap, 0), seen)
    nowhere = position = jnp.full(share.shape, -1, jnp.int32)
    if isinstance(positive, list):
        sums = list(itertools.accumulate(positive))
        total = sums[-1]
        for k in range(len(sums) - 1, -1, -1):
            position = jnp.where(sums[k] > share * total, k, position)
    else:
        running = jnp.cumsum(positive, axis=0)
        total = running[-1]
        # Sums of a scan may fall by a rounding, and pass the mark where nothing was added.
        passed = jax.vmap(lambda so_far, tap: (so_far > share * total) & (tap > 0))(
            running, positive
        )
        first = jnp.argmax(passed, axis=0).astype(jnp.int32)
        position = jnp.where(jnp.any(passed, axis=0), first, nowhere)
    value = jnp.where(jnp.isfinite(total), _at(seen, position), total)
    return value, jnp.where(jnp.isfinite(total), position, nowhere)


def _at(seen: list[Array] | Array, position: Array) -> Array:
    """What each window sees at its position, and 0 where that is -1."""
    if isinstance(seen, list):
        found = jnp.zeros_like(seen[0])
        for k, tap in enumerate(seen):
            found = jnp.where(position == k, tap, found)
        return found
    order = jnp.arange(len(seen), dtype=jnp.int32)
    return _sum(jax.vmap(lambda k, tap: jnp.where(position == k, tap, 0))(order, seen))


def _each(function: Callable[[Array], Array], seen: list[Array] | Array) -> list[Array] | Array:
    return list(map(function, seen)) if isinstance(seen, list) else jax.vmap(function)(seen)


def _sum(terms: list[Array] | Array) -> Array:
    if isinstance(terms, list):
        return functools.reduce(operator.add, terms)
    return jnp.sum(terms, axis=0)
