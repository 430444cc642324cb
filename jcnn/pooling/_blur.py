"""Subsampling after a blur."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import floating, window_of
from jcnn.pooling._average import weighted_avg_pool
from jcnn.pooling._window import Padding


def blur_pool(
    x: ArrayLike,
    strides: int | Sequence[int],
    padding: Padding = "SAME",
    *,
    filter_size: int = 3,
) -> Array:
    """Subsample by `strides` after a binomial blur: shifts change the output less (Zhang 2019).

    `len(strides)` is the number of spatial axes; an integer covers all axes between the batch
    (first) and the channels (last). `filter_size` 1 only subsamples, 3 is (1, 2, 1)/4 per axis,
    and so on. `padding` is `"SAME"` (zeros), `"VALID"`, an integer, pairs, or `"CIRCULAR"`: the
    axis wraps around, and a shift by one stride shifts the output exactly.

    >>> blur_pool(jnp.array([0.0, 0.0, 4.0, 0.0])[:, None], (2,))[:, 0].tolist()
    [1.0, 1.0]
    """
    x = floating(x)
    strides = window_of("strides", strides, x)
    if filter_size < 1:
        raise ValueError(f"filter_size={filter_size}; expected 1 or more")
    n = len(strides)
    row = np.array([math.comb(filter_size - 1, k) for k in range(filter_size)], np.float32)
    weights = np.ones((), np.float32)
    for _ in range(n):
        weights = np.multiply.outer(weights, row / row.sum())
    if padding == "CIRCULAR":
        around = ((filter_size - 1) // 2, filter_size // 2)
        pairs = ((0, 0),) * (x.ndim - n - 1) + (around,) * n + ((0, 0),)
        x, padding = jnp.pad(x, pairs, mode="wrap"), "VALID"
    return weighted_avg_pool(x, (filter_size,) * n, strides, padding, weights=weights)
