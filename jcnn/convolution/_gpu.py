"""Convolution on NVIDIA GPUs: cuDNN's, except where a matrix product measured faster."""

import math

import jax
from jax import Array

from jcnn.convolution._columns import MOST_TAPS, columns
from jcnn.convolution._geometry import Geometry, Result, input_channels
from jcnn.convolution._plain import plain

# The fewest outputs per model for which the matrix product is used.
_FEWEST_OUTPUTS = 16


def gpu(a: Array, b: Array, *, result: Result, geometry: Geometry) -> Array:
    """Compute one of the three maps.

    Many models with one input channel each would be a grouped convolution, which cuDNN runs three
    times slower than a batch of matrix products (docs/decisions.md has the measurements).
    """
    one_channel = input_channels(a, b, result) == 1
    many = a.shape[0] > 1 and b.shape[-1] >= _FEWEST_OUTPUTS
    if many and one_channel and math.prod(geometry.window) <= MOST_TAPS:
        return jax.vmap(lambda a, b: columns(a, b, result, geometry))(a, b)
    return plain(a, b, result=result, geometry=geometry)
