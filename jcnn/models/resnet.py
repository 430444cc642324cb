"""ResNet for small images (He et al. 2016, section 4.2)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import initializers, layers, pooling
from jcnn.models.block import conv_block, spatial_and_channels

Function = Callable[[Array], Array]


class ResidualBlock(nnx.Module):
    """Two 3-wide convolutions around a shortcut; the shortcut subsamples and pads with zeros.

    The parameter-free shortcut (option A of He et al. 2016) keeps every part under study in the
    residual branch.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        *,
        strides: int,
        activation: Function,
        kernel_init: Callable[..., Array],
        normalization: layers.Normalization | None,
        dtype: Any,
        rngs: nnx.Rngs,
    ) -> None:
        conv = {
            "use_bias": normalization is None,
            "kernel_init": kernel_init,
            "dtype": dtype,
            "rngs": rngs,
        }
        self.conv1 = layers.Conv(in_features, out_features, kernel_size, strides=strides, **conv)
        self.conv2 = layers.Conv(out_features, out_features, kernel_size, **conv)
        if normalization is None:
            self.norm1 = self.norm2 = lambda x: x
        else:
            self.norm1 = normalization(out_features, rngs=rngs)
            self.norm2 = normalization(out_features, rngs=rngs)
        self.activation1 = layers.Activation(activation)
        self.activation2 = layers.Activation(activation)
        self.strides = strides
        self.extra_features = out_features - in_features

    def __call__(self, x: Array) -> Array:
        """Add the residual branch to the shortcut, then activate."""
        y = self.activation1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        spatial_ndim = len(self.conv1.kernel.shape) - 2
        steps = (slice(None, None, self.strides),) * spatial_ndim
        shortcut = x[(..., *steps, slice(None))]
        pads = ((0, 0),) * (x.ndim - 1) + ((0, self.extra_features),)
        return self.activation2(jnp.pad(shortcut, pads).astype(y.dtype) + y)


class ResNet(nnx.Module):
    """Stem, three stages of `(depth - 2) / 6` blocks at widths w, 2w, 4w, global average, dense.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> ResNet((8, 8, 1), 10, depth=8, width=4, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 10)
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        depth: int = 20,
        width: int = 16,
        activation: Function = jax.nn.relu,
        kernel_init: Callable[..., Array] = initializers.he_normal,
        normalization: layers.Normalization | None = layers.batch_norm,
        dtype: Any = None,
        rngs: nnx.Rngs,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth={depth}; expected 6n + 2: 8, 14, 20, 32, 44 or 56")
        spatial, channels = spatial_and_channels(input_shape)
        window = (3,) * len(spatial)
        parts = {
            "activation": activation,
            "kernel_init": kernel_init,
            "normalization": normalization,
            "dtype": dtype,
            "rngs": rngs,
        }
        self.stem = layers.Sequential(**conv_block("", channels, width, window, **parts))
        self.blocks: nnx.List[ResidualBlock] = nnx.List([])
        features = width
        for stage in range(3):
            for i in range((depth - 2) // 6):
                strides = 2 if stage > 0 and i == 0 else 1
                wider = width * 2**stage
                self.blocks.append(ResidualBlock(features, wider, window, strides=strides, **parts))
                features = wider
        self.output = layers.Dense(
            features, outputs, kernel_init=kernel_init, dtype=dtype, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        """Logits (or regression outputs) of a batch."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.output(pooling.global_avg_pool(x, spatial_ndim=x.ndim - 2))
