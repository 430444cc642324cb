"""Pooling by sums: sum, average, L2 norm, Lp norm and weighted average."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import floating, window_sizes
from jcnn.pooling._maximum import max_pool
from jcnn.pooling._overlap import overlapping, weighted_sum
from jcnn.pooling._sums import counts, scaled_power_sum, window_sum
from jcnn.pooling._window import Padding, Window, all_taps, pad, tile, tile_sum, tiles, windows


def avg_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
    count_include_pad: bool = True,
) -> Array:
    """Return the mean of each window; arguments as in `max_pool`.

    Padded zeros count, unless `count_include_pad` is False: then the sum of each window is divided
    by the number of its values that are not padding. Half precision is accumulated in float32. The
    gradient is spread evenly over the values that were counted.

    >>> import jax.numpy as jnp
    >>> avg_pool(jnp.arange(16.0).reshape(4, 4, 1), (2, 2))[..., 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    x, over = _floating(x, window_shape, strides, padding, dilation)
    total = window_sum(_wide(x), over)
    if count_include_pad:
        return (total / math.prod(w.size for w in over)).astype(x.dtype)
    return (total / counts(x, over, total.dtype)).astype(x.dtype)


def sum_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return the sum of each window; arguments as in `max_pool`.

    Half precision is accumulated in float32. Each value's gradient is the sum of those of the
    windows that contain it.

    >>> import jax.numpy as jnp
    >>> sum_pool(jnp.arange(16.0).reshape(4, 4, 1), (2, 2))[..., 0].tolist()
    [[10.0, 18.0], [42.0, 50.0]]
    """
    x, over = _floating(x, window_shape, strides, padding, dilation)
    return window_sum(_wide(x), over).astype(x.dtype)


def l2_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return the Euclidean norm `sqrt(sum x^2)` of each window; arguments as in `max_pool`.

    The gradient is `x / y`, and 0 for a window of zeros (the subgradient of least norm). Squares
    are summed in float32 (float64 for float64): norms above about 1e19 overflow and those below
    1e-19 vanish. `lp_pool` with p = 2 has no such limits, but is slower.

    >>> import jax, jax.numpy as jnp
    >>> l2_pool(jnp.array([3.0, 4.0, 0.0, 0.0])[:, None], (2,))[:, 0].tolist()
    [5.0, 0.0]
    >>> jax.grad(lambda x: l2_pool(x, (2,)).sum())(jnp.zeros((4, 1)))[:, 0].tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    x, over = _floating(x, window_shape, strides, padding, dilation)
    total = window_sum(jnp.square(_wide(x)), over)
    return _root(total, 2.0).astype(x.dtype)


def lp_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    p: float,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return the norm `(sum |x|^p)^(1/p)` of each window, p >= 1; arguments as in `max_pool`.

    p = 1 sums absolute values, p = 2 is `l2_pool`, and p = inf is the largest absolute value, the
    first of which receives the gradient. The gradient is 0 for a window of zeros, and for a zero in
    any window. `x` is divided by the window's largest |x| before powers are taken, so that none
    overflows or vanishes.

    Raises ValueError for p below 1.

    >>> lp_pool(jnp.array([3.0, 4.0])[:, None], (2,), p=2.0).tolist()
    [[5.0]]
    """
    if not p >= 1:
        raise ValueError(f"p={p}; expected 1 or more, so that this is a norm")
    x, over = _floating(x, window_shape, strides, padding, dilation)
    wide = _wide(x)
    size = jnp.where(wide == 0, 0, jnp.abs(wide))  # the derivative of jnp.abs at 0 is 1
    if p == math.inf:
        largest = max_pool(size, window_shape, strides, padding, dilation=dilation)
        return largest.astype(x.dtype)
    scale, total = scaled_power_sum(pad(size, over, 0), p, over)
    return (scale * _root(total, p)).astype(x.dtype)


def weighted_avg_pool(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    *,
    weights: ArrayLike | None = None,
    dilation: int | Sequence[int] | None = None,
) -> Array:
    """Return the weighted sum `sum_k weights_k x_k` of each window; arguments as in `max_pool`.

    `weights` have the shape `window_shape`, or `(*window_shape, channels)`, and may be learned:
    gradients flow to them. They are not normalized; the default, `gaussian_weights`, sums to 1 and
    is largest at the centre. In a window of 2 both positions are equally central, so there the
    default is the average.

    >>> import jax.numpy as jnp
    >>> float(weighted_avg_pool(jnp.ones((3, 3, 1)), (3, 3))[0, 0, 0])
    1.0
    """
    x, over = _floating(x, window_shape, strides, padding, dilation)
    shape = tuple(w.size for w in over)
    wide = _wide(x)
    scale = jnp.asarray(gaussian_weights(shape) if weights is None else weights).astype(wide.dtype)
    if scale.shape not in (shape, (*shape, x.shape[-1])):
        raise ValueError(
            f"weights have shape {scale.shape}; expected {shape}, or {(*shape, x.shape[-1])} "
            "with one set per channel"
        )
    scale = scale if scale.ndim > len(shape) else scale[..., None]
    wide = pad(wide, over, 0)
    if tiles(over):
        split, inner = tile(wide, over)
        aligned = [1] * split.ndim
        for axis, size in zip(inner, shape, strict=True):
            aligned[axis] = size
        aligned[-1] = scale.shape[-1]
        return tile_sum(split * scale.reshape(aligned), inner).astype(x.dtype)
    axes = overlapping(wide, over)
    if axes is not None:
        return weighted_sum(wide, scale, axes).astype(x.dtype)
    flat = scale.reshape(-1, scale.shape[-1])
    slices = all_taps(wide, over)
    total = sum(
        tap * flat[k].reshape((1,) * (tap.ndim - 1) + (-1,)) for k, tap in enumerate(slices)
    )
    return jnp.asarray(total).astype(x.dtype)


def gaussian_weights(window_shape: Sequence[int]) -> np.ndarray:
    """Return Gaussian weights of shape `window_shape` that sum to 1, in float32.

    The standard deviation is a quarter of the window, but at least half a position.

    >>> [round(float(weight), 3) for weight in gaussian_weights((3,))]
    [0.226, 0.549, 0.226]
    """
    weights = np.ones((), np.float64)
    for size in window_sizes("window_shape", window_shape):
        position = np.arange(size) - (size - 1) / 2
        weights = np.multiply.outer(weights, np.exp(-((position / max(size / 4, 0.5)) ** 2) / 2))
    return (weights / weights.sum()).astype(np.float32)


def _floating(
    x: ArrayLike,
    window_shape: int | Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Padding,
    dilation: int | Sequence[int] | None,
) -> tuple[Array, tuple[Window, ...]]:
    x = floating(x)
    return x, windows(x, window_shape, strides, padding, dilation)


def _wide(x: Array) -> Array:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def _root(total: Array, p: float) -> Array:
    """Return `total ** (1/p)` with derivative 0 at 0."""
    positive = total != 0
    safe = jnp.where(positive, total, 1)
    return jnp.where(positive, jnp.sqrt(safe) if p == 2 else safe ** (1 / p), 0)
