"""Convolution as one matrix product whose rows are the windows, laid out by slices.

The gradients are JAX's: slices, pads and matmuls, which need no canonical form.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jcnn.convolution._geometry import Geometry, Result
from jcnn.convolution._windows import tap_rows
from jcnn.varying_axes import equally_varying

# Windows of more positions are never laid out as slices, which would take long to compile.
MOST_TAPS = 512


def columns(a: Array, b: Array, result: Result, geometry: Geometry) -> Array:
    """Compute one model's map with all windows as the rows of one matrix."""

    def forward(x: Array, kernel: Array) -> Array:
        rows = jnp.concatenate(tap_rows(x, geometry), axis=-1)
        return rows @ kernel.reshape(-1, kernel.shape[-1])

    if result == "output":
        return forward(a, b).reshape(len(a), *geometry.out_spatial, b.shape[-1])
    if result == "input":
        x, _ = equally_varying(jnp.zeros((len(a), *geometry.spatial, b.shape[-2]), a.dtype), a)
        (dx,) = jax.linear_transpose(lambda x: forward(x, b), x)(a.reshape(-1, a.shape[-1]))
        # Fused into the gradient of a pooling layer below, the windows would be summed again for
        # each of its positions.
        return lax.optimization_barrier(dx)
    shape = (*geometry.window, a.shape[-1], b.shape[-1])
    kernel, _ = equally_varying(jnp.zeros(shape, a.dtype), a)
    (dk,) = jax.linear_transpose(lambda k: forward(a, k), kernel)(b.reshape(-1, b.shape[-1]))
    return dk
