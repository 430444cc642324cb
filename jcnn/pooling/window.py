"""Windows over spatial axes: arguments checked once, and the two ways to look through them.

Every pooling function sees its windows either *tiled* (they do not overlap and cover the axis: a
reshape) or as *taps* (one strided slice for each window position). Neither needs `reduce_window`,
whose gradient is a select-and-scatter: slow on CPU, and without a fixed order of sums on GPU.
"""

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jcnn.arguments import Padding, pads, per_axis, window_of

# Windows of more positions than this are reduced, not unrolled.
FEW = 16


class Window(NamedTuple):
    """One spatial axis: `size` taps, `stride` between windows, `dilation` between taps."""

    axis: int
    size: int
    stride: int
    dilation: int
    low: int
    high: int

    def outputs(self, length: int) -> int:
        """How many windows fit an axis of this length once padded."""
        return (length + self.low + self.high - self.reach) // self.stride + 1

    @property
    def reach(self) -> int:
        """How many positions the window spans."""
        return (self.size - 1) * self.dilation + 1


def windows(
    x: Array,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Padding,
    dilation: int | Sequence[int] | None,
) -> tuple[Window, ...]:
    """One checked `Window` for each spatial axis."""
    shape = window_of("window_shape", window_shape, x)
    n = len(shape)
    steps = shape if strides is None else per_axis("strides", strides, n)
    spread = (1,) * n if dilation is None else per_axis("dilation", dilation, n)
    lengths = x.shape[-n - 1 : -1]
    reach = [(size - 1) * d + 1 for size, d in zip(shape, spread, strict=True)]
    pairs = pads(padding, lengths, reach, steps)
    made = tuple(
        Window(x.ndim - n - 1 + i, shape[i], steps[i], spread[i], *pairs[i]) for i in range(n)
    )
    for window, length in zip(made, lengths, strict=True):
        if window.outputs(length) < 1 or length == 0:
            raise ValueError(
                f"window_shape={shape} with dilation {spread} spans {window.reach} positions, but "
                f"x of shape {x.shape} has {length} on axis {window.axis}: use a smaller window, "
                "or more padding"
            )
        if max(window.low, window.high) >= window.reach:
            raise ValueError(
                f"padding {pairs} would give windows of padding alone; expected less than the "
                f"{window.reach} positions that the window spans"
            )
    return made


def pad(x: Array, over: Sequence[Window], value: float | int) -> Array:
    """Pad the spatial axes with `value`."""
    config = [(0, 0, 0)] * x.ndim
    for window in over:
        config[window.axis] = (window.low, window.high, 0)
    if not any(low or high for low, high, _ in config):
        return x
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def tiles(over: Sequence[Window]) -> bool:
    """Whether the windows lie side by side."""
    return all(w.stride == w.size and w.dilation == 1 for w in over)


def tile(x: Array, over: Sequence[Window]) -> tuple[Array, tuple[int, ...]]:
    """Split each axis of length `outputs * size` in two; returns the array and its window axes.

    What is left at the end of an axis belongs to no window and is cut off.
    """
    shape, inner = [], []
    sizes = {w.axis: w.size for w in over}
    for axis, length in enumerate(x.shape):
        if axis in sizes:
            x = lax.slice_in_dim(x, 0, length // sizes[axis] * sizes[axis], axis=axis)
            shape += [length // sizes[axis], sizes[axis]]
            inner.append(len(shape) - 1)
        else:
            shape.append(length)
    return x.reshape(shape), tuple(inner)


def tile_taps(x: Array, inner: tuple[int, ...]) -> list[Array] | None:
    """What each position of a tile sees, in row-major order; None where they are too many.

    Elementwise work on a few slices fuses and vectorizes on every backend; a reduction over short
    inner axes does neither on CPU.
    """
    if math.prod(x.shape[axis] for axis in inner) > FEW:
        return None
    found = []
    for position in itertools.product(*(range(x.shape[axis]) for axis in inner)):
        chosen: list[int | slice] = [slice(None)] * x.ndim
        for axis, index in zip(inner, position, strict=True):
            chosen[axis] = index
        found.append(x[tuple(chosen)])
    return found


def tile_order(x: Array, inner: tuple[int, ...]) -> Array:
    """The number of each position of a tile, in row-major order, ready to be broadcast to `x`."""
    order = jnp.zeros((1,) * x.ndim, jnp.int32)
    for axis in inner:
        shape = tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
        order = order * x.shape[axis] + lax.broadcasted_iota(jnp.int32, shape, axis)
    return order


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def tile_sum(x: Array, inner: tuple[int, ...]) -> Array:
    """The sum over tile axes; its transpose is a broadcast."""
    seen = tile_taps(x, inner)
    return jnp.sum(x, axis=inner) if seen is None else functools.reduce(operator.add, seen)


@tile_sum.defjvp
def _tile_sum_jvp(
    inner: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    return tile_sum(primals[0], inner), jnp.sum(tangents[0], axis=inner)


def taps(x: Array, window: Window) -> list[Array]:
    """What each position of the window sees along its axis, in order; `x` is padded already."""
    length = x.shape[window.axis]
    count = (length - window.reach) // window.stride + 1
    return [
        lax.slice_in_dim(
            x,
            k * window.dilation,
            k * window.dilation + (count - 1) * window.stride + 1,
            window.stride,
            window.axis,
        )
        for k in range(window.size)
    ]


def all_taps(x: Array, over: Sequence[Window]) -> list[Array]:
    """What each position of the whole window sees, in row-major order of positions."""
    found = [x]
    for window in over:
        found = [tap for array in found for tap in taps(array, window)]
    return found
