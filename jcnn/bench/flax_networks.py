"""The benchmark's networks in plain Flax; their attributes have the names that jcnn's have."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array


class PlainConvNet(nnx.Module):
    """3x3 convolutions with ReLU and 2x2 max pooling, dense layers with ReLU, and an output."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        rngs = nnx.Rngs(0)
        self.convs: Any = nnx.List([])
        self.denses: Any = nnx.List([])
        for name, kernel in weights.items():
            if not name.endswith("/kernel"):
                continue
            if kernel.ndim == 4:
                self.convs.append(nnx.Conv(*kernel.shape[2:], kernel.shape[:2], rngs=rngs))
            else:
                self.denses.append(nnx.Linear(*kernel.shape, rngs=rngs))
            layer = [*self.convs, *self.denses][-1]
            layer.kernel[...] = jnp.asarray(kernel)
            layer.bias[...] = jnp.asarray(weights[name.replace("kernel", "bias")])

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        for conv in self.convs:
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        *hidden, output = self.denses
        for dense in hidden:
            x = nnx.relu(dense(x))
        return output(x)


class PlainBlock(nnx.Module):
    """Two convolutions with batch normalization, and a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, strides: int, rngs: nnx.Rngs) -> None:
        conv = partial(nnx.Conv, kernel_size=(3, 3), use_bias=False, rngs=rngs)
        self.conv1 = conv(inputs, outputs, strides=strides)
        self.conv2 = conv(outputs, outputs)
        self.norm1, self.norm2 = (nnx.BatchNorm(outputs, momentum=0.9, rngs=rngs) for _ in range(2))
        self.strides, self.extra = strides, outputs - inputs

    def __call__(self, x: Array) -> Array:
        """Return the sum of the branch and the shortcut, after ReLU."""
        y = self.norm2(self.conv2(nnx.relu(self.norm1(self.conv1(x)))))
        x = x[:, :: self.strides, :: self.strides]
        return nnx.relu(jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.extra))) + y)


class Stem(nnx.Module):
    """A convolution with batch normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(inputs, outputs, (3, 3), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(outputs, momentum=0.9, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Return the features."""
        return nnx.relu(self.norm(self.conv(x)))


class PlainResNet(nnx.Module):
    """ResNet-20 for small images (He et al. 2016)."""

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        rngs = nnx.Rngs(0)
        self.stem = Stem(weights["stem/conv/kernel"].shape[2], 16, rngs)
        widths = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2
        widths += [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nnx.List([PlainBlock(*width, rngs=rngs) for width in widths])
        self.output = nnx.Linear(64, 10, rngs=rngs)
        params = nnx.state(self, nnx.Param)
        for path, param in nnx.to_flat_state(params):
            param[...] = jnp.asarray(weights["/".join(map(str, path))])
        nnx.update(self, params)

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.output(x.mean((1, 2)))
