"""Layers with weights: convolution and dense."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import convolution, initializers
from jcnn import dense as dense_function
from jcnn.arguments import floating, window_sizes

Initializer = Callable[..., Array]


class Conv(nnx.Module):
    """Convolution of `(*batch, *spatial, in_features)`; see `jcnn.convolution.conv`.

    `kernel` is `(*window_shape, in_features // groups, out_features)`, `bias` is `(out_features,)`.
    Input and parameters are cast to `dtype` for the computation (mixed precision), by default the
    floating dtype of the input; parameters are kept in `param_dtype`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> Conv(1, 16, (3, 3), rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 8, 8, 16)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        window_shape: Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str | Sequence[tuple[int, int]] = "SAME",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_init: Initializer = initializers.he_normal,
        bias_init: Initializer = initializers.zeros,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if groups < 1 or in_features % groups:
            raise ValueError(f"groups={groups} must be positive and divide {in_features=}")
        window = window_sizes("window_shape", window_shape)
        shape = (*window, in_features // groups, out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = _bias(bias_init, out_features, param_dtype, rngs) if use_bias else None
        self.strides = strides
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Convolve `x`."""
        x, kernel, bias = _cast(self.dtype, x, self.kernel, self.bias)
        return convolution.conv(
            x,
            kernel,
            bias,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


class Dense(nnx.Module):
    """`x @ kernel + bias` over the last axis; see `jcnn.dense.dense`, and `Conv` for dtypes.

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
        kernel_init: Initializer = initializers.he_normal,
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
    """`x`, kernel and bias in `dtype`, or where that is None in the dtype of `x`."""
    dtype = floating(x).dtype if dtype is None else dtype
    values = [a[...] if isinstance(a, nnx.Variable) else a for a in (x, *parameters)]
    return tuple(None if value is None else jnp.asarray(value, dtype) for value in values)
