"""Flax's normalization, made to keep the dtype of its input, and what a CNN needs of it.

`batch_norm` averages over 10 steps, not 100; `group_norm` finds a group count that divides.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn.arguments import floating

Normalization = Callable[..., Callable[[Array], Array]]


class _SameDtype:
    """Half precision is normalized in float32 and comes back in its own dtype."""

    def __call__(self, x: Array, **options: Any) -> Array:
        x = floating(x)
        wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
        y: Array = super().__call__(wide, **options)
        return y.astype(x.dtype)


class BatchNorm(_SameDtype, nnx.BatchNorm):
    """Flax's batch normalization, dtype in, dtype out.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[1.0, 10.0], [3.0, 30.0]], jnp.bfloat16)
    >>> y = BatchNorm(2, rngs=nnx.Rngs(0))(x)
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, -1.0], [1.0, 1.0]])
    """


class LayerNorm(_SameDtype, nnx.LayerNorm):
    """Flax's layer normalization, dtype in, dtype out.

    >>> import jax.numpy as jnp
    >>> y = LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[1.0, 3.0], [10.0, 30.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, 1.0], [-1.0, 1.0]])
    """


class RMSNorm(_SameDtype, nnx.RMSNorm):
    """Flax's root-mean-square normalization, dtype in, dtype out.

    >>> import jax.numpy as jnp
    >>> y = RMSNorm(4, rngs=nnx.Rngs(0))(jnp.array([[4.0, 0.0, 0.0, 0.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[2.0, 0.0, 0.0, 0.0]])
    """


class GroupNorm(_SameDtype, nnx.GroupNorm):
    """Flax's group normalization, dtype in, dtype out.

    >>> import jax.numpy as jnp
    >>> layer = GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))
    >>> y = layer(jnp.array([[1.0, 3.0, 10.0, 30.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, 1.0, -1.0, 1.0]])
    """


class InstanceNorm(_SameDtype, nnx.InstanceNorm):
    """Normalization of each channel of each example over its spatial axes.

    An input `(batch, features)` has no spatial axes to normalize over and comes back unchanged.

    >>> import jax.numpy as jnp
    >>> layer = InstanceNorm(2, rngs=nnx.Rngs(0))
    >>> x = jnp.array([[[1.0, 10.0], [3.0, 30.0]]])  # one example, two positions, two channels
    >>> layer(x).round(3).tolist(), layer(x[:, 0]).tolist()
    ([[[-1.0, -1.0], [1.0, 1.0]]], [[1.0, 10.0]])
    """

    def __call__(self, x: Array, **options: Any) -> Array:
        """Normalize `x`."""
        return floating(x) if x.ndim == 2 else super().__call__(x, **options)


def batch_norm(num_features: int, *, rngs: nnx.Rngs) -> BatchNorm:
    """Batch normalization whose running statistics average over about ten steps.

    >>> import jax.numpy as jnp
    >>> batch_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return BatchNorm(num_features, momentum=0.9, rngs=rngs)


def layer_norm(num_features: int, *, rngs: nnx.Rngs) -> LayerNorm:
    """Normalization of each position over its channels.

    >>> import jax.numpy as jnp
    >>> layer_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return LayerNorm(num_features, rngs=rngs)


def rms_norm(num_features: int, *, rngs: nnx.Rngs) -> RMSNorm:
    """Division of each position by the root mean square of its channels.

    >>> import jax.numpy as jnp
    >>> rms_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return RMSNorm(num_features, rngs=rngs)


def group_norm(num_features: int, *, rngs: nnx.Rngs) -> GroupNorm:
    """Group normalization with the most groups, at most 8, of two or more channels each.

    One group where none fits. (Groups of one channel would turn dense features into zeros, and on
    images be instance normalization.)

    >>> group_norm(12, rngs=nnx.Rngs(0)).num_groups
    6
    """
    divisors = (n for n in range(1, 9) if num_features % n == 0 and num_features >= 2 * n)
    return GroupNorm(num_features, num_groups=max(divisors, default=1), rngs=rngs)


def instance_norm(num_features: int, *, rngs: nnx.Rngs) -> InstanceNorm:
    """Instance normalization; see `InstanceNorm`.

    >>> import jax.numpy as jnp
    >>> instance_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return InstanceNorm(num_features, rngs=rngs)
