"""Layers with weights: Flax's convolution and linear layer with jcnn's defaults and checks."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import initializers
from jcnn.arguments import floating, is_integer, window_sizes
from jcnn.convolution import conv_general_dilated

Initializer = Callable[..., Array]
default_kernel_init = initializers.he_normal()


def _to_dtype_of_input(arrays: Sequence[Array | None], *, dtype: Any = None) -> tuple[Any, ...]:
    """Return input, kernel and bias in `dtype`, or if that is None in the dtype of the input."""
    dtype = floating(arrays[0]).dtype if dtype is None else dtype  # type: ignore[arg-type]
    return tuple(None if array is None else jnp.asarray(array, dtype) for array in arrays)


class Conv(nnx.Conv):
    """`flax.nnx.Conv` whose gradients are fast inside loops on CPU.

    The input is `(*batch, *spatial, in_features)`. All arguments are those of `flax.nnx.Conv`, and
    `groups` is another name of `feature_group_count`. Four things differ:

    - the convolution is `jcnn.convolution.conv_general_dilated`;
    - kernels are drawn by He's normal initialization, unless `kernel_init` says otherwise;
    - input and parameters are cast to `dtype`, by default the floating dtype of the input; Flax
      promotes them to a common one;
    - an integer `kernel_size` means one spatial axis, as in Flax, but an input with more axes than
      `(batch, length, in_features)` raises a ValueError instead of being taken for a batch of
      series.

    Raises ValueError if channels do not fit, TypeError for an input that is not floating point.

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
        feature_group_count: int = 1,
        groups: int | None = None,
        kernel_init: Initializer = default_kernel_init,
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        feature_group_count = feature_group_count if groups is None else groups
        if feature_group_count < 1 or in_features % feature_group_count:
            raise ValueError(
                f"feature_group_count={feature_group_count} must be positive and divide "
                f"{in_features=}"
            )
        self.one_axis = is_integer(kernel_size)
        own = {
            "conv_general_dilated": conv_general_dilated,
            "promote_dtype": _to_dtype_of_input,
        }
        super().__init__(
            in_features,
            out_features,
            window_sizes("kernel_size", (kernel_size,) if is_integer(kernel_size) else kernel_size),
            strides,
            feature_group_count=feature_group_count,
            kernel_init=kernel_init,
            rngs=rngs,
            **own | options,
        )

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        """Convolve `inputs`."""
        x, sizes = floating(inputs), self.kernel_size
        if self.one_axis and x.ndim > 3:
            raise ValueError(
                f"x has shape {x.shape}, but the integer kernel_size={sizes[0]} means one spatial "
                f"axis, (batch, length, channels): write kernel_size={sizes * min(x.ndim - 2, 3)}"
            )
        if x.ndim < len(sizes) + 1 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x has shape {x.shape}, but this layer with kernel_size={sizes} takes "
                f"{self.in_features} channels: expected (*batch, *spatial, {self.in_features}) "
                f"with {len(sizes)} spatial axes"
            )
        y: Array = super().__call__(x, out_sharding)
        return y


class Dense(nnx.Linear):
    """`flax.nnx.Linear` with jcnn's defaults; `jcnn.layers.Linear` is the same class.

    `y = x @ kernel + bias` over the last axis. All arguments are those of `flax.nnx.Linear`. The
    default of `kernel_init` and dtypes are those of `Conv`. Raises ValueError if the features do
    not fit, TypeError for an input that is not floating point.

    >>> import jax.numpy as jnp
    >>> Dense(8, 3, rngs=nnx.Rngs(0))(jnp.ones((2, 8))).shape
    (2, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        kernel_init: Initializer = default_kernel_init,
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        own = {"promote_dtype": _to_dtype_of_input}
        super().__init__(
            in_features, out_features, kernel_init=kernel_init, rngs=rngs, **own | options
        )

    def __call__(self, inputs: Array, out_sharding: Any = None) -> Array:
        """Multiply `inputs` by the kernel and add the bias."""
        x = floating(inputs)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x has shape {x.shape}, but this layer takes {self.in_features} features: "
                f"expected (*batch, {self.in_features})"
            )
        y: Array = super().__call__(x, out_sharding)
        return y
