"""What each window position sees of the padded input."""

import itertools
from collections.abc import Iterator

import jax.numpy as jnp
from jax import Array, lax

from jcnn.convolution._geometry import Geometry


def window_positions(geometry: Geometry) -> list[tuple[int, ...]]:
    """Return the window's positions, in the order of the kernel's elements."""
    return list(itertools.product(*map(range, geometry.window)))


def pad(x: Array, geometry: Geometry, input_dilation: tuple[int, ...] | None = None) -> Array:
    """Pad `(batch, *spatial, channels)`, with its positions `input_dilation` apart (default: 1).

    Padding may be negative, which cuts positions off.
    """
    distances = (1,) * len(geometry.padding) if input_dilation is None else input_dilation
    pairs = zip(geometry.padding, distances, strict=True)
    edges = [(low, high, distance - 1) for (low, high), distance in pairs]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def tap_slices(padded: Array, geometry: Geometry) -> Iterator[Array]:
    """Yield `(batch, *out_spatial, channels)` for each window position."""
    for tap in window_positions(geometry):
        start = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        stop = [first + span for first, span in zip(start, geometry.span, strict=True)]
        limit = (len(padded), *stop, padded.shape[-1])
        yield lax.slice(padded, (0, *start, 0), limit, (1, *geometry.strides, 1))


def tap_rows(x: Array, geometry: Geometry) -> list[Array]:
    """Return a matrix per window position: a row of input channels per output position."""
    return [part.reshape(-1, x.shape[-1]) for part in tap_slices(pad(x, geometry), geometry)]
