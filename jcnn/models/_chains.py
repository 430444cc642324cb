"""The models that are one chain of layers: `lenet`, `mlp`, `plain_cnn`, `vgg`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from jax import Array

from jcnn import layers, pooling
from jcnn.layers import default_kernel_init
from jcnn.models._parts import Function, Layers, Parts, pooled_shape, spatial_and_channels
from jcnn.names import UsageError

_VGG_STAGES: dict[int, tuple[int, ...]] = {
    8: (1, 1, 2, 2),
    11: (1, 1, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
}


def lenet(
    input_shape: Sequence[int],
    outputs: int,
    *,
    features: Sequence[int] = (16, 32),
    hidden: Sequence[int] = (64,),
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = default_kernel_init,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build a network on the plan of LeCun et al. 1998: convolutions with pooling, then dense.

    One 3-wide convolution and a pooling by 2 per entry of `features`, then one dense layer per
    entry of `hidden`, then the output layer. `input_shape` is `(*spatial, channels)` with 1 to 3
    spatial axes: a series, an image, or a volume or clip. Every weighted layer except the last is
    followed by `normalization(features, rngs=)`, if there is one, and by `activation`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> lenet((8, 16, 16, 1), 4, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 16, 16, 1))).shape
    (2, 4)
    """
    parts = Parts(activation, kernel_init, normalization, dtype, pooling)
    stages = [(width,) for width in features]
    chain, spatial, channels = _trunk(input_shape, stages, parts, rngs=rngs)
    size = math.prod(spatial) * channels
    return layers.Sequential(**chain, **_head(size, hidden, outputs, parts, rngs=rngs))


def mlp(
    input_shape: Sequence[int],
    outputs: int,
    *,
    hidden: Sequence[int] = (256, 256),
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = default_kernel_init,
    normalization: layers.Normalization | None = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build a multilayer perceptron on the flattened input.

    >>> import jax.numpy as jnp
    >>> mlp((8, 8, 1), 10, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 10)
    """
    parts = Parts(activation, kernel_init, normalization, dtype)
    size = math.prod(input_shape)
    return layers.Sequential(**_head(size, hidden, outputs, parts, rngs=rngs))


def plain_cnn(
    input_shape: Sequence[int],
    outputs: int,
    *,
    depth: int = 10,
    width: int = 16,
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = default_kernel_init,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build `depth` equal 3-wide convolutions without shortcuts, followed by the output layer.

    One pooling by 2 follows the first convolution. In this network gradients vanish or explode with
    depth.

    >>> plain_cnn((8, 8, 1), 10, depth=2, rngs=nnx.Rngs(0)).names
    ('conv1', 'activation1', 'pool1', 'conv2', 'activation2', 'flatten', 'output')
    """
    if depth < 1:
        raise ValueError(f"depth={depth}; expected at least one convolution")
    parts = Parts(activation, kernel_init, normalization, dtype, pooling)
    spatial, channels = spatial_and_channels(input_shape)
    window = (3,) * len(spatial)
    chain: Layers = {}
    for i in range(1, depth + 1):
        chain |= parts.conv_block(str(i), channels, width, window, rngs=rngs)
        channels = width
        if i == 1:
            chain["pool1"] = parts.pool(len(spatial), rngs=rngs)
    size = math.prod(pooled_shape(spatial, 2)) * width
    return layers.Sequential(**chain, **_head(size, (), outputs, parts, rngs=rngs))


def vgg(
    input_shape: Sequence[int],
    outputs: int,
    *,
    depth: int = 8,
    width: int = 16,
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = default_kernel_init,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build a VGG (Simonyan and Zisserman 2015): stages of 3-wide convolutions, pooled by 2.

    `depth` counts the weighted layers (8, 11 or 16). The width doubles from stage to stage, up to
    eight times the first. Pooling stops once a spatial axis is down to one position, so that small
    images work too.

    >>> net = vgg((8, 8, 1), 10, width=2, rngs=nnx.Rngs(0))  # four stages: 8x8, 4x4, 2x2, 1x1
    >>> [name for name in net.names if "pool" in name]
    ['pool1', 'pool2', 'pool3']
    """
    if depth not in _VGG_STAGES:
        raise ValueError(f"depth={depth}; expected one of {', '.join(map(str, _VGG_STAGES))}")
    parts = Parts(activation, kernel_init, normalization, dtype, pooling)
    widths = [(width * min(2**stage, 8),) * count for stage, count in enumerate(_VGG_STAGES[depth])]
    chain, spatial, channels = _trunk(input_shape, widths, parts, stop_at_one=True, rngs=rngs)
    size = math.prod(spatial) * channels
    return layers.Sequential(**chain, **_head(size, (8 * width,), outputs, parts, rngs=rngs))


def _trunk(
    input_shape: Sequence[int],
    stages: Sequence[Sequence[int]],
    parts: Parts,
    *,
    stop_at_one: bool = False,
    rngs: nnx.Rngs,
) -> tuple[Layers, tuple[int, ...], int]:
    """Return the layers, and the spatial shape and the channels after them."""
    shape, channels = spatial_and_channels(input_shape)
    chain: Layers = {}
    count = 0
    for stage, widths in enumerate(stages, start=1):
        for width in widths:
            count += 1
            kernel_size = (3,) * len(shape)
            chain |= parts.conv_block(str(count), channels, width, kernel_size, rngs=rngs)
            channels = width
        if not (stop_at_one and min(shape) < 2):
            shape = pooled_shape(shape, 2)
            chain[f"pool{stage}"] = parts.pool(len(shape), rngs=rngs)
    return chain, shape, channels


def _head(
    size: int, hidden: Sequence[int], outputs: int, parts: Parts, *, rngs: nnx.Rngs
) -> Layers:
    if isinstance(hidden, int):
        raise UsageError(
            f"hidden={hidden}; expected the widths of the hidden layers, such as ({hidden},) "
            f"(on the command line: `{hidden},`)"
        )
    chain: Layers = {"flatten": layers.Flatten()}
    for i, width in enumerate(hidden, start=1):
        chain |= parts.dense_block(f"_hidden{i}", size, width, rngs=rngs)
        size = width
    chain["output"] = parts.dense(size, outputs, use_bias=True, rngs=rngs)
    return chain
