"""Networks of the experiments that are not among jcnn's built-in models."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import convolution, dense, initializers, layers
from jcnn.models._parts import Parts

Initializer = Callable[..., Array]
# The untruncated distributions of the papers, with which the committed results were measured.
HE = initializers.he_untruncated_normal()
LECUN = initializers.lecun_untruncated_normal()


def unpooled_cnn(
    input_shape: Sequence[int],
    outputs: int,
    *,
    depth: int,
    width: int = 16,
    window: int = 3,
    hidden: Sequence[int] = (),
    activation: Callable[[Array], Array] = jax.nn.relu,
    kernel_init: Initializer = HE,
    normalization: layers.Normalization | None = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build `depth` equal convolutions without pooling, followed by dense layers."""
    parts = Parts(activation, kernel_init, normalization, None)
    *spatial, channels = input_shape
    chain: dict[str, Any] = {}
    for i in range(1, depth + 1):
        chain |= parts.conv_block(str(i), channels, width, (window,) * len(spatial), rngs=rngs)
        channels = width
    chain["flatten"] = layers.Flatten()
    size = math.prod(spatial) * channels
    for i, features in enumerate(hidden, start=1):
        chain |= parts.dense_block(f"_hidden{i}", size, features, rngs=rngs)
        size = features
    out = layers.Dense(size, outputs, kernel_init=kernel_init, rngs=rngs)
    return layers.Sequential(**chain, output=out)


class ScannedMLP(nnx.Module):
    """Equal dense layers, stacked and scanned, so that compile time does not grow with depth."""

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        depth: int,
        width: int = 128,
        activation: Callable[[Array], Array] = jnp.tanh,
        kernel_init: Initializer = LECUN,
        bias_init: Initializer = initializers.zeros,
        rngs: nnx.Rngs,
    ) -> None:
        self.first = layers.Dense(
            math.prod(input_shape), width, kernel_init=kernel_init, bias_init=bias_init, rngs=rngs
        )
        self.kernels = _stacked(kernel_init, rngs, depth - 1, (width, width))
        self.biases = _stacked(bias_init, rngs, depth - 1, (width,))
        self.out = layers.Dense(width, outputs, kernel_init=LECUN, rngs=rngs)
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        """Apply all layers in order."""

        def layer(x: Array, parameters: tuple[Array, Array]) -> tuple[Array, None]:
            kernel, bias = parameters
            return self.activation(x @ kernel + bias), None

        stacked = self.kernels.get_value(), self.biases.get_value()
        x = self.activation(self.first(dense.flatten(x)))
        return self.out(jax.lax.scan(layer, x, stacked)[0])


class ScannedCNN(nnx.Module):
    """Equal convolutions with circular padding, stacked and scanned, then one dense layer."""

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        depth: int,
        width: int = 16,
        activation: Callable[[Array], Array] = jnp.tanh,
        kernel_init: Initializer = LECUN,
        bias_init: Initializer = initializers.zeros,
        rngs: nnx.Rngs,
    ) -> None:
        *spatial, channels = input_shape
        window = (3,) * len(spatial)
        self.first = layers.Conv(
            channels,
            width,
            window,
            padding="CIRCULAR",
            kernel_init=kernel_init,
            bias_init=bias_init,
            rngs=rngs,
        )
        self.kernels = _stacked(kernel_init, rngs, depth - 1, (*window, width, width))
        self.biases = _stacked(bias_init, rngs, depth - 1, (width,))
        size = math.prod(spatial) * width
        self.out = layers.Dense(size, outputs, kernel_init=LECUN, rngs=rngs)
        self.activation = activation

    def features(self, x: Array) -> Array:
        """Return the activation of the last convolution."""

        def layer(x: Array, parameters: tuple[Array, Array]) -> tuple[Array, None]:
            kernel, bias = parameters
            return self.activation(convolution.conv(x, kernel, bias, padding="CIRCULAR")), None

        stacked = self.kernels.get_value(), self.biases.get_value()
        return jax.lax.scan(layer, self.activation(self.first(x)), stacked)[0]

    def __call__(self, x: Array) -> Array:
        """Apply all layers in order."""
        return self.out(dense.flatten(self.features(x)))


def _stacked(init: Initializer, rngs: nnx.Rngs, count: int, shape: Sequence[int]) -> nnx.Param:
    keys = jax.random.split(rngs.params(), count)
    return nnx.Param(jax.lax.map(lambda key: init(key, shape, jnp.float32), keys))
