"""Layers with weights: convolution and dense."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import convolution, initializers
from jcnn import dense as dense_function
from jcnn.arguments import Padding, floating, is_integer, window_sizes

Initializer = Callable[..., Array]
default_kernel_init = initializers.he_normal()


class Conv(nnx.Module):
    """Convolution of `(*batch, *spatial, in_features)`; see `jcnn.convolution.conv`.

    The arguments are those of `flax.nnx.Conv`. `kernel_size` has one size per spatial axis; an
    integer means one spatial axis, as in Flax, and then an input with more axes than `(batch,
    length, in_features)` raises a ValueError instead of being taken for a batch of series.

    `kernel` is `(*kernel_size, in_features // feature_group_count, out_features)` and `bias` is
    `(out_features,)`. Input and parameters are cast to `dtype` for the computation (mixed
    precision), by default the floating dtype of the input; parameters are stored in `param_dtype`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> Conv(1, 16, kernel_size=(3, 3), rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 8, 8, 16)
    >>> Conv(1, 16, 3, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 1))).shape
    (2, 8, 16)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        *,
        padding: Padding = "SAME",
        kernel_dilation: int | Sequence[int] = 1,
        feature_group_count: int = 1,
        groups: int | None = None,
        use_bias: bool = True,
        kernel_init: Initializer = default_kernel_init,
        bias_init: Initializer = initializers.zeros,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        feature_group_count = feature_group_count if groups is None else groups
        if feature_group_count < 1 or in_features % feature_group_count:
            raise ValueError(
                f"feature_group_count={feature_group_count} must be positive and divide "
                f"{in_features=}"
            )
        self.one_axis = is_integer(kernel_size)
        sizes = (kernel_size,) if is_integer(kernel_size) else kernel_size
        self.kernel_size = window_sizes("kernel_size", sizes)
        shape = (*self.kernel_size, in_features // feature_group_count, out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = _bias(bias_init, out_features, param_dtype, rngs) if use_bias else None
        self.strides = strides
        self.padding = padding
        self.kernel_dilation = kernel_dilation
        self.feature_group_count = feature_group_count
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Convolve `x`."""
        if self.one_axis and x.ndim > 3:
            sizes = self.kernel_size * min(x.ndim - 2, 3)
            raise ValueError(
                f"x has shape {x.shape}, but the integer kernel_size={self.kernel_size[0]} means "
                f"one spatial axis, (batch, length, channels): write kernel_size={sizes}"
            )
        x, kernel, bias = _cast(self.dtype, x, self.kernel, self.bias)
        return convolution.conv(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            kernel_dilation=self.kernel_dilation,
            feature_group_count=self.feature_group_count,
        )


class Dense(nnx.Module):
    """`x @ kernel + bias` over the last axis, with the arguments of `flax.nnx.Linear`.

    `jcnn.layers.Linear` is the same class. See `jcnn.dense.dense`, and `Conv` for dtypes.

    >>> import jax.numpy as jnp
    >>> Dense(8, 3, rngs=nnx.Rngs(0))(jnp.ones((2, 8))).shape
    (2, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        use_bias: bool = True,
        kernel_init: Initializer = default_kernel_init,
        bias_init: Initializer = initializers.zeros,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        self.kernel = nnx.Param(
            kernel_init(rngs.params(), (in_features, out_features), param_dtype)
        )
        self.bias = _bias(bias_init, out_features, param_dtype, rngs) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Multiply `x` by the kernel and add the bias."""
        return dense_function.dense(*_cast(self.dtype, x, self.kernel, self.bias))


def _bias(init: Initializer, features: int, dtype: Any, rngs: nnx.Rngs) -> nnx.Param:
    return nnx.Param(init(rngs.params(), (features,), dtype))


def _cast(dtype: Any, x: Array, *parameters: Any) -> tuple[Any, ...]:
    """Return `x`, kernel and bias in `dtype`, or if that is None in the dtype of `x`."""
    dtype = floating(x).dtype if dtype is None else dtype
    values = [a[...] if isinstance(a, nnx.Variable) else a for a in (x, *parameters)]
    return tuple(None if value is None else jnp.asarray(value, dtype) for value in values)
