"""Forms of convolution that XLA:CPU runs fast everywhere, including inside loops.

Each of the forms is used for the shapes for which it measured fastest:

- `depthwise`, in its own module, for channels that each have their own kernel;
- `canonical`: channels-last `lax.conv_general_dilated` without permuted dimension numbers; the
  gradients are written as convolutions of transposed arrays as well;
- `columns`: every window as a row of a matrix (slices and one concatenation), then one matmul;
- `taps`: one matmul per window position, for a few examples at a time so that their data stays in
  cache.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from jcnn.convolution._columns import MOST_TAPS, columns
from jcnn.convolution._depthwise import MOST_TAPS as MOST_DEPTHWISE_TAPS
from jcnn.convolution._depthwise import depthwise
from jcnn.convolution._geometry import Geometry, Pairs, Result, input_channels
from jcnn.convolution._plain import channels_last
from jcnn.convolution._windows import tap_rows

Form = Callable[..., Array]

# The largest input and output of the examples in one round of `taps`: the size of a core's cache.
TAPS_BYTES = 2**21
# The most input channels with which the window positions share one matmul in `taps`.
MOST_JOINED_CHANNELS = 16


def fast(a: Array, b: Array, *, result: Result, geometry: Geometry) -> Array:
    """Compute one of the three maps in the form for its shapes, accumulated in at least float32."""
    dtype = a.dtype
    if dtype.itemsize < 4:
        a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    if a.size == 0 or b.size == 0:
        return _empty(a, b, result, geometry).astype(dtype)
    if (
        a.shape[0] > 1
        and input_channels(a, b, result) == b.shape[-1] == 1
        and math.prod(geometry.window) <= MOST_DEPTHWISE_TAPS
    ):
        return depthwise(a, b, result, geometry).astype(dtype)
    form = choose(result, geometry, a, b)
    if a.shape[0] == 1:
        out = form(a[0], b[0], result, geometry)[None]
    elif form is canonical:
        # vmap would make a grouped convolution; a loop keeps each one on the fast path.
        out = lax.map(lambda ab: canonical(ab[0], ab[1], result, geometry), (a, b))
    else:
        out = jax.vmap(lambda a, b: form(a, b, result, geometry))(a, b)
    return out.astype(dtype)


def choose(result: Result, geometry: Geometry, a: Array, b: Array) -> Form:
    """Return the form for these shapes; docs/decisions.md has the measurements."""
    if math.prod(geometry.window) > MOST_TAPS:
        return canonical
    channels = input_channels(a, b, result)
    positions = math.prod(geometry.out_spatial)
    if math.prod(geometry.window) == 1 or positions * channels <= 1024:
        return columns
    if result == "output":
        return columns if channels == 1 else canonical
    if result == "input":
        return columns if channels <= 4 or max(geometry.strides) > 1 else canonical
    return columns if channels <= 4 else taps


def _empty(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    shape = {
        "output": (*a.shape[:2], *geometry.out_spatial, b.shape[-1]),
        "input": (*a.shape[:2], *geometry.spatial, b.shape[-2]),
        "kernel": (a.shape[0], *geometry.window, a.shape[-1], b.shape[-1]),
    }[result]
    return jnp.zeros(shape, a.dtype)


# --- Convolutions, all in canonical layout ---------------------------------------------------


def canonical(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    """Compute one model's map as one convolution, with a unit axis added to a 1-D one."""
    if len(geometry.window) > 1:
        return _canonical(a, b, result, geometry)
    first = {"output": 1, "input": 1, "kernel": 0}  # the first spatial axis of each array
    second_operand = 1 if result == "kernel" else 0
    a, b = jnp.expand_dims(a, 1), jnp.expand_dims(b, second_operand)
    return jnp.squeeze(_canonical(a, b, result, _with_unit_axis(geometry)), first[result])


def _canonical(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    axes = tuple(range(len(geometry.window)))
    if result == "output":
        return _conv(
            a, b, geometry.padding, strides=geometry.strides, kernel_dilation=geometry.dilation
        )
    if result == "input":
        return _conv(
            a,
            jnp.flip(b, axes).swapaxes(-1, -2),
            geometry.transposed.padding,
            input_dilation=geometry.strides,
            kernel_dilation=geometry.dilation,
        )
    sizes = zip(geometry.spatial, geometry.span, geometry.reach, geometry.padding, strict=True)
    padding = tuple((low, r + span - 1 - size - low) for size, span, r, (low, _) in sizes)
    dk = _conv(
        jnp.swapaxes(a, 0, -1),
        jnp.moveaxis(b, 0, -2),
        padding,
        strides=geometry.dilation,
        kernel_dilation=geometry.strides,
    )
    return jnp.moveaxis(dk, 0, -2)


def _conv(
    x: Array,
    kernel: Array,
    padding: Pairs,
    *,
    strides: tuple[int, ...] | None = None,
    input_dilation: tuple[int, ...] | None = None,
    kernel_dilation: tuple[int, ...],
) -> Array:
    n = len(padding)
    return lax.conv_general_dilated(
        x,
        kernel,
        (1,) * n if strides is None else strides,
        padding,
        lhs_dilation=input_dilation,
        rhs_dilation=kernel_dilation,
        dimension_numbers=channels_last(n),
    )


def _with_unit_axis(g: Geometry) -> Geometry:
    one = (1,)
    return Geometry(
        one + g.spatial,
        one + g.window,
        one + g.out_spatial,
        one + g.strides,
        one + g.dilation,
        ((0, 0), *g.padding),
    )


# --- Matmuls per window position ------------------------------------------------------------


def taps(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    """Compute one model's kernel gradient by matmuls over rounds of examples.

    There is a matmul per window position. With few input channels, the positions share one.
    """
    del result
    rounds = _rounds(len(a), a.nbytes + b.nbytes)
    inputs, gradients = (array.reshape(rounds, -1, *array.shape[1:]) for array in (a, b))
    together = a.shape[-1] <= MOST_JOINED_CHANNELS

    def add(i: int | Array, total: Array) -> Array:
        dy = gradients[i].reshape(-1, b.shape[-1])
        rows = tap_rows(inputs[i], geometry)
        if together:
            return total + dy.T @ jnp.concatenate(rows, -1)
        return total + jnp.stack([part.T @ dy for part in rows])

    taps, outputs = math.prod(geometry.window), b.shape[-1]
    shape = (outputs, taps * a.shape[-1]) if together else (taps, a.shape[-1], outputs)
    zeros = jnp.zeros(shape, a.dtype)
    total = add(0, zeros) if rounds == 1 else lax.fori_loop(0, rounds, add, zeros)
    total = total.T if together else total
    return total.reshape(*geometry.window, a.shape[-1], outputs)


def _rounds(examples: int, size: int) -> int:
    """Return the smallest number of equal parts with at most `TAPS_BYTES` each."""
    parts = (n for n in range(1, examples + 1) if examples % n == 0)
    return next((n for n in parts if size <= n * TAPS_BYTES), examples)
