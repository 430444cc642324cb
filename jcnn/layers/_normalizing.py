"""Flax's normalization modules, accurate and with the dtype of the input kept, and factories.

The factories are called as `factory(num_features, rngs=rngs)` by models: `batch_norm` averages over
10 steps instead of 100, and `group_norm` chooses a number of groups that divides the channels.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn import dtypes
from jax import Array, lax

from jcnn import normalization
from jcnn.arguments import floating

Normalization = Callable[..., Callable[[Array], Array]]


class _Accurate:
    """Normalize in at least float32, return the dtype of the input, and compute variances exactly.

    Unlike Flax by default, the variance is the mean of `(x - mean)^2`: as `mean(x^2) - mean(x)^2`
    it has no correct digit where the mean is some thousand times the standard deviation.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"use_fast_variance": False} | options)

    def __call__(self, x: Array, *args: Any, **options: Any) -> Array:
        x = floating(x)
        wide = x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
        y: Array = super().__call__(wide, *args, **options)
        return y.astype(x.dtype)

    def _is_plain(self, mask: Array | None) -> bool:
        """Whether a function of `jcnn.normalization`, which is faster, computes the same."""
        layer: Any = self
        return (
            mask is None
            and layer.axis_name is None
            and layer.dtype is None
            and layer.promote_dtype is dtypes.promote_dtype
            and not layer.use_fast_variance
        )

    def _affine(self) -> tuple[Array | None, Array | None]:
        layer: Any = self
        scale, bias = (None if param is None else param[...] for param in (layer.scale, layer.bias))
        return scale, bias


class BatchNorm(_Accurate, nnx.BatchNorm):
    """`flax.nnx.BatchNorm` with accurate variances and the output in the dtype of the input.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[1.0, 10.0], [3.0, 30.0]], jnp.bfloat16)
    >>> y = BatchNorm(2, rngs=nnx.Rngs(0))(x)
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, -1.0], [1.0, 1.0]])
    """

    def __call__(
        self, x: Array, use_running_average: bool | None = None, *, mask: Array | None = None
    ) -> Array:
        """Normalize `x`, and update the running statistics in training."""
        running = self.use_running_average if use_running_average is None else use_running_average
        if running is not False or self.axis not in (-1, x.ndim - 1) or not self._is_plain(mask):
            return super().__call__(x, use_running_average=use_running_average, mask=mask)
        x = floating(x)
        for average, batch in zip(
            (self.mean, self.var), normalization.moments(x, range(x.ndim - 1)), strict=True
        ):
            new = lax.stop_gradient(batch).reshape(-1).astype(average[...].dtype)
            average[...] = self.momentum * average[...] + (1 - self.momentum) * new
        scale, bias = self._affine()
        return normalization.batch_norm(x, None, None, scale, bias, epsilon=self.epsilon)


class LayerNorm(_Accurate, nnx.LayerNorm):
    """`flax.nnx.LayerNorm` with accurate variances and the output in the dtype of the input.

    >>> import jax.numpy as jnp
    >>> y = LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[1.0, 3.0], [10.0, 30.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, 1.0], [-1.0, 1.0]])
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize `x`."""
        last = (-1, x.ndim - 1)
        if not (self.reduction_axes in last and self.feature_axes in last and self._is_plain(mask)):
            return super().__call__(x, mask=mask)
        return normalization.layer_norm(x, *self._affine(), epsilon=self.epsilon)


class RMSNorm(_Accurate, nnx.RMSNorm):
    """`flax.nnx.RMSNorm` with the output in the dtype of the input.

    >>> import jax.numpy as jnp
    >>> y = RMSNorm(4, rngs=nnx.Rngs(0))(jnp.array([[4.0, 0.0, 0.0, 0.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[2.0, 0.0, 0.0, 0.0]])
    """


class GroupNorm(_Accurate, nnx.GroupNorm):
    """`flax.nnx.GroupNorm` with accurate variances and the output in the dtype of the input.

    >>> import jax.numpy as jnp
    >>> layer = GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))
    >>> y = layer(jnp.array([[1.0, 3.0, 10.0, 30.0]], jnp.bfloat16))
    >>> y.dtype.name, y.tolist()
    ('bfloat16', [[-1.0, 1.0, -1.0, 1.0]])
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize `x`."""
        if self.reduction_axes is not None or x.ndim < 2 or not self._is_plain(mask):
            return super().__call__(x, mask=mask)
        return normalization.group_norm(
            x,
            *self._affine(),
            num_groups=self.num_groups,
            spatial_ndim=x.ndim - 2,
            epsilon=self.epsilon,
        )


class InstanceNorm(_Accurate, nnx.InstanceNorm):
    """`flax.nnx.InstanceNorm` with accurate variances and the output in the dtype of the input.

    An input `(batch, features)` has no spatial axes to normalize over and is returned unchanged.

    >>> import jax.numpy as jnp
    >>> layer = InstanceNorm(2, rngs=nnx.Rngs(0))
    >>> x = jnp.array([[[1.0, 10.0], [3.0, 30.0]]])  # one example, two positions, two channels
    >>> layer(x).round(3).tolist(), layer(x[:, 0]).tolist()
    ([[[-1.0, -1.0], [1.0, 1.0]]], [[1.0, 10.0]])
    """

    def __call__(self, x: Array, *, mask: Array | None = None) -> Array:
        """Normalize `x`."""
        if x.ndim == 2:
            return floating(x)
        if x.ndim < 2 or self.feature_axes not in (-1, x.ndim - 1) or not self._is_plain(mask):
            return super().__call__(x, mask=mask)
        return normalization.instance_norm(
            x, *self._affine(), spatial_ndim=x.ndim - 2, epsilon=self.epsilon
        )


def batch_norm(num_features: int, *, rngs: nnx.Rngs) -> BatchNorm:
    """Return a batch normalization whose running statistics average over about ten steps.

    >>> import jax.numpy as jnp
    >>> batch_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return BatchNorm(num_features, momentum=0.9, rngs=rngs)


def layer_norm(num_features: int, *, rngs: nnx.Rngs) -> LayerNorm:
    """Return a normalization of each position over its channels.

    >>> import jax.numpy as jnp
    >>> layer_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return LayerNorm(num_features, rngs=rngs)


def rms_norm(num_features: int, *, rngs: nnx.Rngs) -> RMSNorm:
    """Return a layer that divides each position by the root mean square of its channels.

    >>> import jax.numpy as jnp
    >>> rms_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return RMSNorm(num_features, rngs=rngs)


def group_norm(num_features: int, *, rngs: nnx.Rngs) -> GroupNorm:
    """Return a group normalization with as many groups of at least two channels as fit, up to 8.

    If no number fits, there is one group. (Groups of one channel would turn dense features into
    zeros, and be instance normalization on images.)

    >>> group_norm(12, rngs=nnx.Rngs(0)).num_groups
    6
    """
    divisors = (n for n in range(1, 9) if num_features % n == 0 and num_features >= 2 * n)
    return GroupNorm(num_features, num_groups=max(divisors, default=1), rngs=rngs)


def instance_norm(num_features: int, *, rngs: nnx.Rngs) -> InstanceNorm:
    """Return an instance normalization; see `InstanceNorm`.

    >>> import jax.numpy as jnp
    >>> instance_norm(16, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 16))).shape
    (2, 8, 8, 16)
    """
    return InstanceNorm(num_features, rngs=rngs)
