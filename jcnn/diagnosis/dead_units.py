"""Saturated elements and dead units: the flat parts of an activation."""

from typing import Any

import jax.numpy as jnp
from jax import Array

from jcnn.training.watch import UNKNOWN

# An element is saturated if the activation's slope is below this share of its greatest slope.
SATURATED = 0.05
# A slope that counts as 0: no gradient passes.
NO_SLOPE = 1e-6


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
