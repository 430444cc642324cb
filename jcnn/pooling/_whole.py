"""Pooling to a fixed output: over all positions (global), or into a number of bins (adaptive)."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jcnn.arguments import floating, window_of
from jcnn.pooling._average import avg_pool, l2_pool
from jcnn.pooling._maximum import max_pool, real, tile_max


def global_max_pool(x: ArrayLike, *, spatial_ndim: int = 2) -> Array:
    """Return the maximum over the spatial axes: from `(*batch, *spatial, c)` to `(*batch, c)`.

    >>> import jax.numpy as jnp
    >>> global_max_pool(jnp.arange(8.0).reshape(2, 2, 2)).tolist()
    [6.0, 7.0]
    """
    return _global(max_pool, x, spatial_ndim)


def global_avg_pool(x: ArrayLike, *, spatial_ndim: int = 2) -> Array:
    """Return the mean over the spatial axes: from `(*batch, *spatial, c)` to `(*batch, c)`.

    >>> import jax.numpy as jnp
    >>> global_avg_pool(jnp.arange(8.0).reshape(2, 2, 2)).tolist()
    [3.0, 4.0]
    """
    return _global(avg_pool, x, spatial_ndim)


def global_l2_pool(x: ArrayLike, *, spatial_ndim: int = 2) -> Array:
    """Return the L2 norm over the spatial axes: from `(*batch, *spatial, c)` to `(*batch, c)`.

    >>> import jax.numpy as jnp
    >>> global_l2_pool(jnp.full((2, 2, 1), 3.0)).tolist()
    [6.0]
    """
    return _global(l2_pool, x, spatial_ndim)


def adaptive_max_pool(x: ArrayLike, output_shape: int | Sequence[int]) -> Array:
    """Return the maximum of each bin; see `adaptive_avg_pool` for `output_shape` and the bins.

    >>> import jax.numpy as jnp
    >>> adaptive_max_pool(jnp.arange(5.0)[:, None], (2,))[:, 0].tolist()
    [2.0, 4.0]
    """

    def reduce(values: Array, axis: int) -> Array:
        return tile_max(values, (axis,))

    return _adaptive(reduce, real(x), output_shape)


def adaptive_avg_pool(x: ArrayLike, output_shape: int | Sequence[int]) -> Array:
    """Return the mean of each bin, where `output_shape` is the number of bins per spatial axis.

    An integer covers all axes between the first (batch) and the last (channels). Bin i of m on an
    axis of length n spans `floor(i n / m)` to `ceil((i + 1) n / m)`, as in PyTorch: sizes differ by
    at most one, and neighbouring bins may share a position.

    >>> import jax.numpy as jnp
    >>> adaptive_avg_pool(jnp.arange(5.0)[:, None], (2,))[:, 0].tolist()
    [1.0, 3.0]
    """

    def reduce(values: Array, axis: int) -> Array:
        wide = values.astype(jnp.float32) if values.dtype.itemsize < 4 else values
        return jnp.mean(wide, axis=axis).astype(values.dtype)

    return _adaptive(reduce, floating(x), output_shape)


def _global(pool: Callable[..., Array], x: ArrayLike, spatial_ndim: int) -> Array:
    x = jnp.asarray(x)
    if not 1 <= spatial_ndim <= 3 or x.ndim < spatial_ndim + 1:
        raise ValueError(
            f"x has shape {x.shape} and spatial_ndim={spatial_ndim}; expected 1 to 3 spatial axes "
            "before the channels"
        )
    spatial = x.shape[-spatial_ndim - 1 : -1]
    pooled = pool(x, spatial)
    return pooled.reshape(*x.shape[: -spatial_ndim - 1], x.shape[-1])


def _adaptive(
    reduce: Callable[[Array, int], Array], x: Array, output_shape: int | Sequence[int]
) -> Array:
    output_shape = window_of("output_shape", output_shape, x)
    n = len(output_shape)
    # Last axis first, so that the first maximum of a bin is the first in row-major order.
    for axis in range(x.ndim - 2, x.ndim - 2 - n, -1):
        length, bins = x.shape[axis], output_shape[axis - (x.ndim - 1 - n)]
        parts = [
            reduce(
                lax.slice_in_dim(x, i * length // bins, -(-(i + 1) * length // bins), axis=axis),
                axis,
            )
            for i in range(bins)
        ]
        x = jnp.stack(parts, axis=axis)
    return x
