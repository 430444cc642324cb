"""ResNet for small images (He et al. 2016, section 4.2)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import layers, pooling
from jcnn.layers import default_kernel_init
from jcnn.models._parts import Function, Parts, spatial_and_channels


class ResidualBlock(nnx.Module):
    """Two convolutions and a shortcut, which subsamples and pads the channels with zeros.

    The parameter-free shortcut (option A of He et al. 2016) keeps every part under study in the
    residual branch.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        parts: Parts,
        *,
        strides: int,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv1 = parts.conv(in_features, out_features, kernel_size, strides=strides, rngs=rngs)
        self.conv2 = parts.conv(out_features, out_features, kernel_size, rngs=rngs)
        if parts.normalization is None:
            self.norm1 = self.norm2 = lambda x: x
        else:
            self.norm1 = parts.normalization(out_features, rngs=rngs)
            self.norm2 = parts.normalization(out_features, rngs=rngs)
        self.activation1 = layers.Activation(parts.activation)
        self.activation2 = layers.Activation(parts.activation)
        self.strides = strides
        self.extra_features = out_features - in_features

    def __call__(self, x: Array) -> Array:
        """Add the residual branch to the shortcut, then apply the activation."""
        y = self.activation1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        spatial_ndim = len(self.conv1.kernel.shape) - 2
        steps = (slice(None, None, self.strides),) * spatial_ndim
        shortcut = x[(..., *steps, slice(None))]
        pads = ((0, 0),) * (x.ndim - 1) + ((0, self.extra_features),)
        return self.activation2(jnp.pad(shortcut, pads).astype(y.dtype) + y)


class ResNet(nnx.Module):
    """A residual network for small images: `depth` weighted layers in three stages.

    A first convolution, `(depth - 2) / 6` residual blocks at each of the widths w, 2w and 4w,
    global average pooling, and a dense layer. Stages two and three halve the spatial axes.

    Raises ValueError unless `depth` is 6n + 2 for some n >= 1.

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
        kernel_init: Callable[..., Array] = default_kernel_init,
        normalization: layers.Normalization | None = layers.batch_norm,
        dtype: Any = None,
        rngs: nnx.Rngs,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"depth={depth}; expected 6n + 2: 8, 14, 20, 32, 44 or 56")
        parts = Parts(activation, kernel_init, normalization, dtype)
        spatial, channels = spatial_and_channels(input_shape)
        window = (3,) * len(spatial)
        self.stem = layers.Sequential(**parts.conv_block("", channels, width, window, rngs=rngs))
        self.blocks: nnx.List[ResidualBlock] = nnx.List([])
        features = width
        for stage in range(3):
            for i in range((depth - 2) // 6):
                strides = 2 if stage > 0 and i == 0 else 1
                wider = width * 2**stage
                block = ResidualBlock(features, wider, window, parts, strides=strides, rngs=rngs)
                self.blocks.append(block)
                features = wider
        self.output = parts.dense(features, outputs, use_bias=True, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return the logits (or regression outputs) of a batch."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.output(pooling.global_avg_pool(x, spatial_ndim=x.ndim - 2))
