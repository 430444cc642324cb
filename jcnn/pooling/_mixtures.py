"""Pooling between maximum and average: mixed and soft."""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import floating
from jcnn.pooling._average import avg_pool
from jcnn.pooling._maximum import max_pool, tile_max
from jcnn.pooling._window import Padding, all_taps, pad, tile, tile_sum, tiles, windows


def mixed_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    alpha: ArrayLike = 0.5,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return `alpha * max_pool + (1 - alpha) * avg_pool` (Lee et al. 2016); arguments as there.

    `alpha` may be learned.

    >>> import jax.numpy as jnp
    >>> mixed_pool(jnp.array([1.0, 3.0])[:, None], (2,), alpha=0.5)[:, 0].tolist()
    [2.5]
    """
    x = floating(x)
    share = jnp.asarray(alpha).astype(x.dtype)
    largest = max_pool(x, window_shape, strides, padding, dilation=dilation)
    mean = avg_pool(x, window_shape, strides, padding, dilation=dilation)
    return share * largest + (1 - share) * mean


def soft_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return `sum_k softmax(x)_k x_k` over each window (Stergiou et al. 2021), without padding.

    Arguments as in `max_pool`.

    >>> import jax.numpy as jnp
    >>> round(float(soft_pool(jnp.array([1.0, 3.0])[:, None], (2,))[0, 0]), 3)
    2.762
    """
    x = floating(x)
    over = windows(x, window_shape, strides, padding, dilation)
    wide = pad(x.astype(jnp.float32) if x.dtype.itemsize < 4 else x, over, -jnp.inf)
    if tiles(over):
        split, inner = tile(wide, over)
        largest = jax.lax.stop_gradient(tile_max(split, inner))
        shares = jnp.exp(split - jnp.expand_dims(largest, inner))
        total = tile_sum(shares * jnp.where(shares > 0, split, 0), inner)
        return (total / tile_sum(shares, inner)).astype(x.dtype)
    # If it fused them, XLA:CPU would compute the exponentials of strided slices one by one.
    slices = jax.lax.optimization_barrier(all_taps(wide, over))
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, slices))
    parts = [jnp.exp(tap - largest) for tap in slices]
    weighted = [e * jnp.where(e > 0, tap, 0) for e, tap in zip(parts, slices, strict=True)]
    total = functools.reduce(operator.add, weighted)
    return (total / functools.reduce(operator.add, parts)).astype(x.dtype)
