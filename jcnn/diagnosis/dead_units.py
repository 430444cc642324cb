"""Saturated elements and dead units: the flat parts of an activation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.activations import Facts
from jcnn.training.watch import UNKNOWN

# An element is saturated if the activation's slope is below this share of its greatest slope.
SATURATED = 0.05
# A slope that counts as 0: no gradient passes.
NO_SLOPE = 1e-6
_QUANTILES = 2001


def flat_shares(slope: Array, greatest: Any) -> tuple[Array, Array]:
    """Return the shares of saturated elements and dead units, given an activation's slopes.

    Saturated elements are counted relative to the activation's `greatest` slope; their share is
    `UNKNOWN` if that is 0. A unit is a feature (the last axis); it is dead if its slope is 0
    everywhere.
    """
    slope = jnp.abs(slope.astype(jnp.float32))
    largest = jnp.max(slope, axis=tuple(range(slope.ndim - 1)))
    dead = jnp.mean((largest <= NO_SLOPE).astype(jnp.float32))
    saturated = jnp.mean((slope < SATURATED * greatest).astype(jnp.float32))
    return jnp.where(greatest > 0, saturated, UNKNOWN), dead


def usual_saturation(function: Callable[..., Array], facts: Facts | None) -> float:
    """Return the share of elements that an activation saturates for a standard normal input.

    0 unless it levels off at both ends. Shares are over 2,001 quantiles.

    >>> from jcnn.activations import facts
    >>> share = usual_saturation(jax.nn.hard_tanh, facts("hard_tanh"))  # P(|z| > 1) = 0.317
    >>> round(share, 2)
    0.32
    """
    if facts is None or len(facts.saturates) < 2:
        return 0.0
    quantiles = jax.scipy.stats.norm.ppf((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    slope = np.abs(np.asarray(jax.vmap(jax.grad(function))(quantiles), np.float64))
    return float(np.mean(slope < SATURATED * facts.max_derivative))
