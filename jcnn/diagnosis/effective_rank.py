"""The effective rank of a layer's weighted sums over a batch."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

# Larger batches of rows are subsampled.
_MOST_ROWS = 4096


def effective_rank(sums: np.ndarray) -> float:
    """Return `exp(H(p))`, where p are the centred rows' singular values over their sum.

    The last axis of `sums` is the features. 1 if all singular values are 0, NaN if a value is not
    finite (Roy & Vetterli 2007).
    """
    rows = sums.reshape(-1, sums.shape[-1])
    rows = rows[:: max(1, -(-len(rows) // _MOST_ROWS))].astype(np.float64)
    if not np.isfinite(rows).all():
        return math.nan
    rows = rows - rows.mean(axis=0)
    # The Gram matrix is five times as fast as the decomposition, and precise enough in float64.
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
    if not values.sum():
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def input_rank(inputs: Any, fan_in: int) -> float:
    """Return the effective rank of what a layer reads; NaN if the inputs are not numbers.

    A layer whose weighted sums have more terms than the inputs have features also reads the
    neighbours along the spatial axes, which count as further features.
    """
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        return math.nan
    values = np.asarray(inputs, np.float32)
    if values.ndim > 2 and fan_in > values.shape[-1]:
        spatial = range(1, values.ndim - 1)
        values = np.concatenate([values, *(np.roll(values, 1, axis) for axis in spatial)], axis=-1)
    return effective_rank(values)
