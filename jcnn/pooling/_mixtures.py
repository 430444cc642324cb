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
        return _soft_mean(*tile(wide, over)).astype(x.dtype)
    # If it fused them, XLA:CPU would compute the exponentials of strided slices one by one.
    slices = jax.lax.optimization_barrier(all_taps(wide, over))
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, slices))
    parts = [jnp.exp(tap - largest) for tap in slices]
    weighted = [e * jnp.where(e > 0, tap, 0) for e, tap in zip(parts, slices, strict=True)]
    total = functools.reduce(operator.add, weighted)
    return (total / functools.reduce(operator.add, parts)).astype(x.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _soft_mean(x: Array, inner: tuple[int, ...]) -> Array:
    """Return `sum_k share_k x_k` over tile axes, where the shares are the softmax of x."""
    shares = jnp.exp(x - jnp.expand_dims(tile_max(x, inner), inner))
    return _weighted(shares, x, inner)[0]


@_soft_mean.defjvp
def _soft_mean_jvp(
    inner: tuple[int, ...], primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    largest = jax.lax.stop_gradient(tile_max(x, inner))
    # The exponentials are computed once: next to slices of their array, in their own loop,
    # they vectorize.
    shares = jax.lax.optimization_barrier(jnp.exp(x - jnp.expand_dims(largest, inner)))
    y, total = _weighted(shares, x, inner)
    finite = jnp.where(shares > 0, x, 0)
    slope = shares * jnp.expand_dims(1 / total, inner) * (finite + jnp.expand_dims(1 - y, inner))
    return y, jnp.sum(slope * dx, axis=inner)


def _weighted(shares: Array, x: Array, inner: tuple[int, ...]) -> tuple[Array, Array]:
    total = tile_sum(shares, inner)
    return tile_sum(shares * jnp.where(shares > 0, x, 0), inner) / total, total
