"""Linear maps over overlapping windows, with hand-written transposes.

JAX transposes a strided slice to a `pad` with holes, once per window position, and adds those up:
many passes over an array of the input's size. Here an input position `stride * m + phase` gathers
from the windows `m`, `m - 1`, ... that reach it, in one fused loop: 3x3/2 gradients take a half to
a sixth of the time (`jcnn bench --only 3x3`). The maps are primitives that are each other's
transposes, so forward mode and second derivatives work as usual.

Arrays are `(*batch, *spatial, channels)`, already padded. `weights` are `(*window, channels)` or
`(*window, 1)`. `offsets` are int32 arrays of the output's shape: the window position that each
output selects, as in `encoded`, or -1 for none.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import Array, lax
from jax.interpreters import ad, batching, mlir

from jcnn.pooling._window import FEW, Window, all_taps
from jcnn.varying_axes import equally_varying

# Offsets along an axis are below this, so that three axes fit an int32.
_BASE = 1 << 10


class Axis(NamedTuple):
    """One spatial axis of `length` positions; other fields as in `Window`."""

    length: int
    size: int
    stride: int
    dilation: int

    @property
    def outputs(self) -> int:
        """The number of windows."""
        return (self.length - self.reach) // self.stride + 1

    @property
    def reach(self) -> int:
        """The number of positions that a window spans."""
        return (self.size - 1) * self.dilation + 1

    @property
    def overlap(self) -> int:
        """The largest number of windows that contain the same position."""
        return -(-self.reach // self.stride)


Axes = tuple[Axis, ...]


def overlapping(x: Array, over: Sequence[Window]) -> Axes | None:
    """Return the axes of a padded `x`, or None if a window is too large to unroll."""
    axes = tuple(Axis(x.shape[w.axis], w.size, w.stride, w.dilation) for w in over)
    positions = math.prod(axis.size for axis in axes)
    shifts = math.prod(axis.overlap for axis in axes)
    return axes if max(positions, shifts) <= FEW else None


def along(x: Array, window: Window) -> tuple[Array, Callable[[Array], Array]]:
    """Return `x` with the window's axis as the only spatial one, and what undoes this."""
    kept, others = x.shape[: window.axis + 1], x.shape[window.axis + 1 :]

    def back(y: Array) -> Array:
        return y.reshape(*y.shape[:-1], *others)

    return x.reshape(*kept, math.prod(others)), back


def weighted_sum(x: Array, weights: Array, axes: Axes) -> Array:
    """Return `y[m] = sum_k weights[k] * x[stride * m + dilation * k]`."""
    return _weigh.bind(*equally_varying(x, weights), axes=axes)


def at_offsets(x: Array, offsets: Array, axes: Axes) -> Array:
    """Return `y[m] = x[stride * m + offset[m]]`, and 0 if the offset is -1."""
    return _pick.bind(*equally_varying(x, offsets), axes=axes)


def encoded(axes: Axes) -> list[int]:
    """Return the offset of each window position, in row-major order."""
    spans = (range(0, axis.reach, axis.dilation) for axis in axes)
    return [_encode(position) for position in itertools.product(*spans)]


def _encode(position: Sequence[Any]) -> Any:
    total, *rest = position
    for place in rest:
        total = total * _BASE + place
    return total


def window_taps(x: Array, axes: Axes) -> list[Array]:
    """Return one slice per window position, in row-major order."""
    first = x.ndim - 1 - len(axes)
    over = [Window(first + i, a.size, a.stride, a.dilation, 0, 0) for i, a in enumerate(axes)]
    return all_taps(x, over)


def _weigh_forward(x: Array, weights: Array, axes: Axes) -> Array:
    flat = weights.reshape(-1, weights.shape[-1])
    aligned = [weight.reshape((1,) * (x.ndim - 1) + (-1,)) for weight in flat]
    return _sum(tap * aligned[k] for k, tap in enumerate(window_taps(x, axes)))


def _weigh_back(dy: Array, weights: Array, axes: Axes) -> Array:
    # The weight of every offset within a window, 0 if there is no tap.
    holes = [(0, a.stride * a.overlap - a.reach, a.dilation - 1) for a in axes]
    table = lax.pad(weights, jnp.zeros((), weights.dtype), [*holes, (0, 0, 0)])

    def term(shift: Sequence[int], blocks: Sequence[Array]) -> Array:
        starts = [a.stride * d for a, d in zip(axes, shift, strict=True)]
        stops = [start + a.stride for start, a in zip(starts, axes, strict=True)]
        part = lax.slice(table, (*starts, 0), (*stops, table.shape[-1]))
        phases = [n for axis in axes for n in (1, axis.stride)]
        batch = (1,) * (blocks[0].ndim - len(phases) - 1)
        return blocks[0] * part.reshape(*batch, *phases, -1)

    return _gathered([(dy, 0)], axes, term)


def _weigh_weights(x: Array, dy: Array, axes: Axes, channels: int) -> Array:
    def total(tap: Array) -> Array:
        sums = jnp.sum(tap * dy, axis=tuple(range(dy.ndim - 1)))
        return sums if channels > 1 or len(sums) == 1 else jnp.sum(sums, keepdims=True)

    gradient = jnp.stack([total(tap) for tap in window_taps(x, axes)])
    return gradient.reshape(*(axis.size for axis in axes), channels)


def _pick_forward(x: Array, offsets: Array, axes: Axes) -> Array:
    taps = zip(encoded(axes), window_taps(x, axes), strict=True)
    return _sum(jnp.where(offsets == code, tap, jnp.zeros_like(tap)) for code, tap in taps)


def _pick_back(dy: Array, offsets: Array, axes: Axes) -> Array:
    batch = (1,) * (dy.ndim - 1 - len(axes))
    shape = (*batch, *(n for axis in axes for n in (1, axis.stride)), 1)
    phases = [
        lax.broadcasted_iota(jnp.int32, shape, len(batch) + 2 * i + 1) for i in range(len(axes))
    ]

    def term(shift: Sequence[int], blocks: Sequence[Array]) -> Array:
        offset = _encode([p + a.stride * d for p, a, d in zip(phases, axes, shift, strict=True)])
        return jnp.where(blocks[1] == offset, blocks[0], jnp.zeros_like(blocks[0]))

    return _gathered([(dy, 0), (offsets, -1)], axes, term)


def _gathered(
    outputs: Sequence[tuple[Array, int]],
    axes: Axes,
    term: Callable[[Sequence[int], Sequence[Array]], Array],
) -> Array:
    """Sum `term` over the shifts; blocks are `(*batch, tile, phase, ..., channels)`.

    `outputs` are pairs of an array and its value beyond the border.
    """
    batch = outputs[0][0].ndim - 1 - len(axes)
    rims = [axis.overlap - 1 for axis in axes]
    config = [(0, 0, 0)] * batch + [(rim, rim, 0) for rim in rims] + [(0, 0, 0)]
    # The barrier keeps the small padding out of the loop over the input's positions.
    padded = lax.optimization_barrier(
        [lax.pad(a, jnp.asarray(beyond, a.dtype), config) for a, beyond in outputs]
    )
    tiles = [axis.outputs + axis.overlap - 1 for axis in axes]

    def block(a: Array, shift: Sequence[int]) -> Array:
        for i, (rim, d, count) in enumerate(zip(rims, shift, tiles, strict=True)):
            a = lax.slice_in_dim(a, rim - d, rim - d + count, axis=batch + i)
        shape = [n for count in tiles for n in (count, 1)]
        return a.reshape(*a.shape[:batch], *shape, a.shape[-1])

    shifts = itertools.product(*(range(axis.overlap) for axis in axes))
    total = _sum(term(shift, [block(a, shift) for a in padded]) for shift in shifts)
    whole = [count * axis.stride for count, axis in zip(tiles, axes, strict=True)]
    total = total.reshape(*total.shape[:batch], *whole, total.shape[-1])
    cut = [(0, axis.length - n, 0) for axis, n in zip(axes, whole, strict=True)]
    return lax.pad(total, jnp.zeros((), total.dtype), [(0, 0, 0)] * batch + [*cut, (0, 0, 0)])


def _sum(arrays: Iterator[Array]) -> Array:
    total = next(arrays)
    for array in arrays:
        total = total + array
    return total


def _primitive(name: str, function: Callable[..., Array], length: str) -> Any:
    """Return a primitive `(array, other)`; `length` names the attribute of an axis' new size."""
    primitive = jax.extend.core.Primitive(f"jcnn_{name}")
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    primitive.def_impl(jax.jit(function, static_argnames="axes"))

    def shape(a: Any, _: Any, *, axes: Axes) -> Any:
        spatial = [getattr(axis, length) for axis in axes]
        return a.update(
            shape=(*a.shape[: a.ndim - 1 - len(axes)], *spatial, a.shape[-1]), weak_type=False
        )

    primitive.def_abstract_eval(shape)
    return primitive


_weigh = _primitive("window_sum", _weigh_forward, "outputs")
_unweigh = _primitive("window_sum_transpose", _weigh_back, "length")
_pick = _primitive("window_pick", _pick_forward, "outputs")
_unpick = _primitive("window_pick_transpose", _pick_back, "length")


def _bilinear(primitive: Any, function: Callable[..., Array], transposed: Any) -> None:
    """Define derivatives and batching of a primitive linear in its array and in the weights."""
    sums = primitive is _weigh

    def transpose_array(ct: Array, array: Any, weights: Any, *, axes: Axes) -> Array:
        return transposed.bind(*equally_varying(ct, weights), axes=axes)

    def transpose_weights(ct: Array, array: Any, weights: Any, *, axes: Axes) -> Array:
        x, dy = (array, ct) if sums else (ct, array)
        return _weigh_weights(x, dy, axes, weights.aval.shape[-1])

    def batch(operands: Any, dims: Any, *, axes: Axes) -> Any:
        if dims[1] is None:
            array = jnp.moveaxis(operands[0], dims[0], 0)
            return primitive.bind(array, operands[1], axes=axes), 0
        return jax.vmap(partial(function, axes=axes), dims)(*operands), 0

    ad.defbilinear(primitive, transpose_array, transpose_weights)
    batching.primitive_batchers[primitive] = batch


def _linear(primitive: Any, transposed: Any) -> None:
    """Define derivatives and batching of a primitive linear in its array; offsets have none."""

    def jvp(primals: Any, tangents: Any, *, axes: Axes) -> Any:
        array, offsets = primals
        y = primitive.bind(array, offsets, axes=axes)
        if type(tangents[0]) is ad.Zero:
            return y, ad.Zero(jax.typeof(y).to_tangent_aval())
        return y, primitive.bind(tangents[0], offsets, axes=axes)

    def transpose(ct: Any, array: Any, offsets: Any, *, axes: Axes) -> Any:
        if type(ct) is ad.Zero:
            return ad.Zero(array.aval), None
        return transposed.bind(*equally_varying(ct, offsets), axes=axes), None

    def batch(operands: Any, dims: Any, *, axes: Axes) -> Any:
        size = next(a.shape[d] for a, d in zip(operands, dims, strict=True) if d is not None)
        mapped = [
            jnp.broadcast_to(a, (size, *a.shape)) if d is None else jnp.moveaxis(a, d, 0)
            for a, d in zip(operands, dims, strict=True)
        ]
        return primitive.bind(*mapped, axes=axes), 0

    ad.primitive_jvps[primitive] = jvp
    ad.primitive_transposes[primitive] = transpose
    batching.primitive_batchers[primitive] = batch


_bilinear(_weigh, _weigh_forward, _unweigh)
_bilinear(_unweigh, _weigh_back, _weigh)
_linear(_pick, _unpick)
_linear(_unpick, _pick)
