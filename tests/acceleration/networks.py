"""Networks of other libraries' layers, small, and an input for each."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx


class Residual(nnx.Module):
    """ResNet: a strided block with a projection, batch normalization, and a global average."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (3, 3), use_bias=False, rngs=rngs)
        self.first = nnx.Conv(4, 8, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.second = nnx.Conv(8, 8, (3, 3), rngs=rngs)
        self.project = nnx.Conv(4, 8, (1, 1), strides=2, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.stem(x)), (3, 3), strides=(1, 1), padding="SAME")
        x = nnx.relu(self.second(nnx.relu(self.norm(self.first(x)))) + self.project(x))
        return self.head(x.mean((1, 2)))


class Mobile(nnx.Module):
    """MobileNet and ConvNeXt: depthwise and pointwise convolutions."""

    def __init__(self, rngs):
        self.stem = nnx.Conv(3, 4, (2, 2), strides=2, padding="VALID", rngs=rngs)
        self.depthwise = nnx.Conv(4, 4, (7, 7), feature_group_count=4, rngs=rngs)
        self.norm = nnx.LayerNorm(4, rngs=rngs)
        self.wide = nnx.Conv(4, 8, (1, 1), rngs=rngs)
        self.narrow = nnx.Conv(8, 4, (1, 1), feature_group_count=2, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x)
        x = x + self.narrow(nnx.gelu(self.wide(self.norm(self.depthwise(x)))))
        return nnx.avg_pool(x, (2, 2), strides=(2, 2), padding="SAME", count_include_pad=False)


class UNet(nnx.Module):
    """U-Net: down by pooling, up by a transposed convolution, with a skip connection."""

    def __init__(self, rngs):
        self.down = nnx.Conv(3, 4, (3, 3), kernel_dilation=2, rngs=rngs)
        self.bottom = nnx.Conv(4, 4, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.up = nnx.ConvTranspose(4, 4, (3, 3), strides=(2, 2), rngs=rngs)
        self.out = nnx.Conv(8, 2, (1, 1), rngs=rngs)

    def __call__(self, x):
        skip = nnx.relu(self.down(x))
        x = nnx.avg_pool(skip, (2, 2), strides=(2, 2))
        x = nnx.relu(self.up(nnx.silu(self.bottom(x))))
        return self.out(jnp.concatenate([skip, x], axis=-1))


class Branches(nnx.Module):
    """GoogLeNet: convolutions of several sizes and a pooling side by side."""

    def __init__(self, rngs):
        self.one = nnx.Conv(3, 2, (1, 1), rngs=rngs)
        self.three = nnx.Conv(3, 2, (3, 3), rngs=rngs)
        self.five = nnx.Conv(3, 2, (5, 5), rngs=rngs)

    def __call__(self, x):
        pooled = nnx.max_pool(x, (3, 3), padding="SAME")
        least = nnx.min_pool(x, (2, 3), padding=((1, 0), (1, 1)))
        parts = [self.one(x), self.three(x), self.five(x), pooled, least]
        return nnx.relu(jnp.concatenate(parts, axis=-1))


class Patches(nnx.Module):
    """A vision transformer: patches by a convolution, attention, and a scan over its blocks."""

    def __init__(self, rngs):
        self.patches = nnx.Conv(3, 8, (4, 4), strides=4, padding="VALID", rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        x = self.patches(x).reshape(len(x), -1, 8)
        x, _ = jax.lax.scan(lambda x, _: (x + self.attention(x), None), x, None, length=2)
        return self.head(x.mean(1))


class Series(nnx.Module):
    """1-D, with a rematerialized block."""

    def __init__(self, rngs):
        self.first = nnx.Conv(2, 4, (5,), strides=2, rngs=rngs)
        self.second = nnx.Conv(4, 4, (3,), rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(jnp.tanh(self.first(x)), (2,), strides=(2,))
        return jax.checkpoint(lambda x: jnp.tanh(self.second(x)))(x)


class Volumes(nnx.Module):
    """3-D, with an average pooling that overlaps."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 3, (3, 3, 3), rngs=rngs)
        self.head = nnx.Conv(3, 2, (2, 2, 2), padding="VALID", rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.avg_pool(nnx.sigmoid(self.conv(x)), (3, 3, 3), strides=(1, 1, 1)))


IMAGES = (2, 8, 8, 3)
NETWORKS = {
    "residual": (Residual, IMAGES),
    "mobile": (Mobile, IMAGES),
    "unet": (UNet, IMAGES),
    "branches": (Branches, IMAGES),
    "patches": (Patches, IMAGES),
    "series": (Series, (2, 16, 2)),
    "volumes": (Volumes, (1, 4, 5, 4, 1)),
}


def linen_network():
    """A Linen network with batch statistics: a function of variables and input."""
    from flax import linen

    class Network(linen.Module):
        @linen.compact
        def __call__(self, x):
            x = linen.relu(linen.Conv(4, (3, 3), strides=2)(x))
            x = linen.BatchNorm(use_running_average=True)(x)
            x = linen.max_pool(linen.ConvTranspose(4, (2, 2))(x), (2, 2), strides=(2, 2))
            return linen.Dense(3)(x.reshape(len(x), -1))

    network = Network()
    variables = network.init(jax.random.key(0), jnp.ones(IMAGES))
    return network.apply, variables


def equinox_network():
    """An Equinox network, whose arrays have channels first: a function of it and the input."""
    equinox = __import__("equinox")

    first, second = jax.random.split(jax.random.key(0))
    network = equinox.nn.Sequential(
        [
            equinox.nn.Conv2d(3, 4, 3, padding=1, key=first),
            equinox.nn.Lambda(jax.nn.relu),
            equinox.nn.MaxPool2d(2, 2),
            equinox.nn.ConvTranspose2d(4, 2, 3, stride=2, groups=2, key=second),
            equinox.nn.AvgPool2d(3, 2, padding=1),
        ]
    )

    def apply(network, x):
        return jax.vmap(network)(jnp.moveaxis(x, -1, 1))

    return apply, network


def haiku_network():
    """A Haiku network."""
    haiku = __import__("haiku")

    def network(x):
        x = haiku.Conv2D(4, 3, stride=2)(x)
        x = haiku.max_pool(haiku.Conv2DTranspose(4, 3, stride=2)(x), (2, 2, 1), (2, 2, 1), "SAME")
        return haiku.avg_pool(haiku.DepthwiseConv2D(1, 3)(x), (2, 2, 1), 1, "SAME")

    transformed = haiku.without_apply_rng(haiku.transform(network))
    return transformed.apply, transformed.init(jax.random.key(0), jnp.ones(IMAGES))


FUNCTIONS = {"linen": linen_network, "equinox": equinox_network, "haiku": haiku_network}


def pure(name):
    """A network of `NETWORKS` as a function of its parameters and an input, and both of them."""
    build, shape = NETWORKS[name]
    graph, params, rest = nnx.split(build(nnx.Rngs(0)), nnx.Param, ...)
    x = jax.random.normal(jax.random.key(1), shape)
    return partial(applied, graph, rest), params, x


def applied(graph, rest, params, x):
    return nnx.merge(graph, params, rest, copy=True)(x)
