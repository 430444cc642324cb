"""Depthwise convolution on CPU as elementwise products with slices, vectorized over the channels.

Each channel has its own kernel of one input and one output channel. As matrix products, such
convolutions would have an inner dimension of 9 for a 3x3 window, and one column.
"""

import math

import jax.numpy as jnp
from jax import Array, lax

from jcnn.convolution._geometry import Geometry, Result
from jcnn.convolution._windows import pad, tap_slices, window_positions

# Windows of more positions take long to compile.
MOST_TAPS = 128
# The number of slices that the kernel gradient adds up elementwise, over all window positions.
_SLICES = 800
# The number of products that one loop adds up: more do not stay in registers.
_MOST_TERMS = 16


def depthwise(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    """Compute one of the three maps of `(channels, batch, *spatial, 1)` and `(channels, ..., 1)`.

    With channels last, the output is a sum over window positions of a slice times the kernel's
    value at the position. The input gradient is the same with the kernel flipped.
    """
    if result == "kernel":
        return _kernel_gradient(_channels_last(a), _channels_last(b), geometry)
    if result == "output":
        slices = _slices(_channels_last(a), geometry)
    else:
        slices = _slices(_channels_last(a), geometry.transposed, geometry.strides)
    shape = (*(1,) * (1 + len(geometry.window)), len(b))
    values = [b[(slice(None), *tap, 0, 0)].reshape(shape) for tap in window_positions(geometry)]
    if result == "input":
        values = values[::-1]
    y = sum(part * value for part, value in zip(slices, values, strict=True))
    return jnp.moveaxis(y, -1, 0)[..., None]


def _kernel_gradient(x: Array, dy: Array, geometry: Geometry) -> Array:
    """Sum the products of each slice of `x` with `dy` over examples and positions.

    XLA:CPU does not vectorize a sum into which products are fused. So a part of the examples is
    added up elementwise, and the rest is a sum of a stored array.
    """
    dy = lax.optimization_barrier(dy)  # or what makes it would be computed for every position
    most = min(max(_SLICES // math.prod(geometry.window), 1), _MOST_TERMS)
    terms = max((n for n in range(1, most + 1) if len(x) % n == 0), default=1)
    totals = []
    for part in _slices(x, geometry):
        products = [
            rows * gradients
            for rows, gradients in zip(jnp.split(part, terms), jnp.split(dy, terms), strict=True)
        ]
        added = lax.optimization_barrier(sum(products[1:], products[0]))
        totals.append(jnp.sum(added.reshape(-1, x.shape[-1]), axis=0))
    return jnp.stack(totals, axis=1).reshape(-1, *geometry.window, 1, 1)


def _slices(
    x: Array, geometry: Geometry, input_dilation: tuple[int, ...] | None = None
) -> list[Array]:
    # Fused into the products, the padding would be decided for each of them.
    padded = lax.optimization_barrier(pad(x, geometry, input_dilation))
    return list(tap_slices(padded, geometry))


def _channels_last(a: Array) -> Array:
    return jnp.moveaxis(a[..., 0], 0, -1)
