"""The models that are one chain of layers: LeNet, MLP, PlainCNN, VGG."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from jax import Array

from jcnn import initializers, layers, pooling
from jcnn.errors import UsageError
from jcnn.models.block import Layers, conv_block, dense_block, pooled_shape, spatial_and_channels

Function = Callable[[Array], Array]

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
    kernel_init: Callable[..., Array] = initializers.he_normal,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """LeCun 1998's plan: (3-wide convolution, pool by 2) per entry of `features`, then dense.

    `input_shape` is `(*spatial, channels)` with 1 to 3 spatial axes: a series, an image, or a
    volume or clip. Every parameter layer but the last is followed by `normalization(features,
    rngs=)` where given, and by `activation`.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> lenet((8, 16, 16, 1), 4, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 16, 16, 1))).shape
    (2, 4)
    """
    parts = {
        "activation": activation,
        "kernel_init": kernel_init,
        "normalization": normalization,
        "dtype": dtype,
        "rngs": rngs,
    }
    chain, spatial, channels = _trunk(input_shape, [(width,) for width in features], pooling, parts)
    return layers.Sequential(
        **chain, **_head(math.prod(spatial) * channels, hidden, outputs, parts)
    )


def mlp(
    input_shape: Sequence[int],
    outputs: int,
    *,
    hidden: Sequence[int] = (256, 256),
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = initializers.he_normal,
    normalization: layers.Normalization | None = None,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Dense layers alone, on the flattened input.

    >>> import jax.numpy as jnp
    >>> mlp((8, 8, 1), 10, rngs=nnx.Rngs(0))(jnp.ones((2, 8, 8, 1))).shape
    (2, 10)
    """
    parts = {
        "activation": activation,
        "kernel_init": kernel_init,
        "normalization": normalization,
        "dtype": dtype,
        "rngs": rngs,
    }
    return layers.Sequential(**_head(math.prod(input_shape), hidden, outputs, parts))


def plain_cnn(
    input_shape: Sequence[int],
    outputs: int,
    *,
    depth: int = 10,
    width: int = 16,
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = initializers.he_normal,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """`depth` equal 3-wide convolutions without shortcuts, pooled by 2 after the first, then dense.

    The network in which gradients vanish or explode with depth.

    >>> plain_cnn((8, 8, 1), 10, depth=2, rngs=nnx.Rngs(0)).names
    ('conv1', 'activation1', 'pool1', 'conv2', 'activation2', 'flatten', 'output')
    """
    if depth < 1:
        raise ValueError(f"depth={depth}; expected at least one convolution")
    parts = {
        "activation": activation,
        "kernel_init": kernel_init,
        "normalization": normalization,
        "dtype": dtype,
        "rngs": rngs,
    }
    spatial, channels = spatial_and_channels(input_shape)
    window = (3,) * len(spatial)
    chain: Layers = {}
    for i in range(1, depth + 1):
        chain |= conv_block(str(i), channels, width, window, **parts)
        channels = width
        if i == 1:
            chain["pool1"] = layers.Pool(pooling, (2,) * len(spatial), rngs=rngs)
    size = math.prod(pooled_shape(spatial, 2)) * width
    return layers.Sequential(**chain, **_head(size, (), outputs, parts))


def vgg(
    input_shape: Sequence[int],
    outputs: int,
    *,
    depth: int = 8,
    width: int = 16,
    activation: Function = jax.nn.relu,
    kernel_init: Callable[..., Array] = initializers.he_normal,
    normalization: layers.Normalization | None = None,
    pooling: Callable[..., Array] = pooling.max_pool,
    dtype: Any = None,
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Simonyan and Zisserman 2015: stages of 3-wide convolutions, each pooled by 2, width doubling.

    `depth` counts parameter layers (8, 11 or 16); the width doubles up to eight times the first.
    Pooling stops once a spatial axis is down to one position, so small images work too.

    >>> net = vgg((8, 8, 1), 10, width=2, rngs=nnx.Rngs(0))  # four stages: 8x8, 4x4, 2x2, 1x1
    >>> [name for name in net.names if "pool" in name]
    ['pool1', 'pool2', 'pool3']
    """
    if depth not in _VGG_STAGES:
        raise ValueError(f"depth={depth}; expected one of {', '.join(map(str, _VGG_STAGES))}")
    parts = {
        "activation": activation,
        "kernel_init": kernel_init,
        "normalization": normalization,
        "dtype": dtype,
        "rngs": rngs,
    }
    widths = [(width * min(2**stage, 8),) * count for stage, count in enumerate(_VGG_STAGES[depth])]
    chain, spatial, channels = _trunk(input_shape, widths, pooling, parts, stop_at_one=True)
    size = math.prod(spatial) * channels
    return layers.Sequential(**chain, **_head(size, (8 * width,), outputs, parts))


def _trunk(
    input_shape: Sequence[int],
    stages: Sequence[Sequence[int]],
    pooling: Callable[..., Array],
    parts: dict[str, Any],
    *,
    stop_at_one: bool = False,
) -> tuple[Layers, tuple[int, ...], int]:
    shape, channels = spatial_and_channels(input_shape)
    chain: Layers = {}
    count = 0
    for stage, widths in enumerate(stages, start=1):
        for width in widths:
            count += 1
            chain |= conv_block(str(count), channels, width, (3,) * len(shape), **parts)
            channels = width
        if not (stop_at_one and min(shape) < 2):
            shape = pooled_shape(shape, 2)
            chain[f"pool{stage}"] = layers.Pool(pooling, (2,) * len(shape), rngs=parts["rngs"])
    return chain, shape, channels


def _head(size: int, hidden: Sequence[int], outputs: int, parts: dict[str, Any]) -> Layers:
    if isinstance(hidden, int):
        raise UsageError(
            f"hidden={hidden}; expected the widths of the hidden layers, such as ({hidden},) "
            f"(on the command line: `{hidden},`)"
        )
    chain: Layers = {"flatten": layers.Flatten()}
    for i, width in enumerate(hidden, start=1):
        chain |= dense_block(f"_hidden{i}", size, width, **parts)
        size = width
    chain["output"] = layers.Dense(
        size,
        outputs,
        kernel_init=parts["kernel_init"],
        dtype=parts["dtype"],
        rngs=parts["rngs"],
    )
    return chain
