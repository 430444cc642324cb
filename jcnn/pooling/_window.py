"""Windows over spatial axes: checked arguments, and two ways to access the values.

Windows are either *tiled* (they do not overlap and cover the axis: a reshape) or accessed by *taps*
(one strided slice per window position). Neither needs `reduce_window`, whose gradient is a
select-and-scatter: slow on CPU, and without a fixed order of summation on GPU.
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

# Windows with more positions than this are reduced, not unrolled.
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
        """Return how many windows fit an axis of this length after padding."""
        return (length + self.low + self.high - self.reach) // self.stride + 1

    @property
    def reach(self) -> int:
        """The number of positions that the window spans."""
        return (self.size - 1) * self.dilation + 1


def windows(
    x: Array,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Padding,
    dilation: int | Sequence[int] | None,
) -> tuple[Window, ...]:
    """Check the arguments and return one `Window` per spatial axis."""
    shape = window_of("window_shape", window_shape, x)
    n = len(shape)
    steps = shape if strides is None else per_axis("strides", strides, n)
    spacing = (1,) * n if dilation is None else per_axis("dilation", dilation, n)
    lengths = x.shape[-n - 1 : -1]
    reach = [(size - 1) * d + 1 for size, d in zip(shape, spacing, strict=True)]
    pairs = pads(padding, lengths, reach, steps)
    over = tuple(
        Window(x.ndim - n - 1 + i, shape[i], steps[i], spacing[i], *pairs[i]) for i in range(n)
    )
    for window, length in zip(over, lengths, strict=True):
        if window.outputs(length) < 1 or length == 0:
            raise ValueError(
                f"window_shape={shape} with dilation {spacing} spans {window.reach} positions, but "
                f"x of shape {x.shape} has {length} on axis {window.axis}: use a smaller window, "
                "or more padding"
            )
        if max(window.low, window.high) >= window.reach:
            raise ValueError(
                f"padding {pairs} would give windows that contain only padding; expected less than "
                f"the {window.reach} positions that the window spans"
            )
    return tuple(_as_tile(window, length) for window, length in zip(over, lengths, strict=True))


def _as_tile(window: Window, length: int) -> Window:
    """Return a window that covers its axis with the stride of a tile, as the only one."""
    whole = window.dilation == 1 and window.size == length + window.low + window.high
    return window._replace(stride=window.size) if whole else window


def pad(x: Array, over: Sequence[Window], value: float | int) -> Array:
    """Pad the spatial axes with `value`."""
    config = [(0, 0, 0)] * x.ndim
    for window in over:
        config[window.axis] = (window.low, window.high, 0)
    if not any(low or high for low, high, _ in config):
        return x
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def tiles(over: Sequence[Window]) -> bool:
    """Whether the windows lie side by side, without overlap or gap."""
    return all(w.stride == w.size and w.dilation == 1 for w in over)


def tile(x: Array, over: Sequence[Window]) -> tuple[Array, tuple[int, ...]]:
    """Split each axis of length `outputs * size` in two; return the array and its window axes.

    A remainder at the end of an axis belongs to no window and is cut off.
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
    """Return one slice per position of a tile, in row-major order; None if there are too many.

    Elementwise work on a few slices fuses and vectorizes on every backend; a reduction over short
    inner axes does neither on CPU.
    """
    if math.prod(x.shape[axis] for axis in inner) > FEW:
        return None
    slices = []
    for position in itertools.product(*(range(x.shape[axis]) for axis in inner)):
        index: list[int | slice] = [slice(None)] * x.ndim
        for axis, i in zip(inner, position, strict=True):
            index[axis] = i
        slices.append(x[tuple(index)])
    return slices


def tile_order(x: Array, inner: tuple[int, ...]) -> Array:
    """Return the row-major number of each position of a tile, in a shape that broadcasts to `x`."""
    order = jnp.zeros((1,) * x.ndim, jnp.int32)
    for axis in inner:
        shape = tuple(n if a == axis else 1 for a, n in enumerate(x.shape))
        order = order * x.shape[axis] + lax.broadcasted_iota(jnp.int32, shape, axis)
    return order


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def tile_sum(x: Array, inner: tuple[int, ...]) -> Array:
    """Return the sum over tile axes; its transpose is a broadcast."""
    slices = tile_taps(x, inner)
    return jnp.sum(x, axis=inner) if slices is None else functools.reduce(operator.add, slices)


@tile_sum.defjvp
def _tile_sum_jvp(
    inner: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    return tile_sum(primals[0], inner), jnp.sum(tangents[0], axis=inner)


def taps(x: Array, window: Window) -> list[Array]:
    """Return one slice per position of the window along its axis; `x` is already padded."""
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
    """Return one slice per position of the whole window, in row-major order of positions."""
    slices = [x]
    for window in over:
        slices = [tap for array in slices for tap in taps(array, window)]
    return slices
