"""Standard designs of networks, small, each as a function of `rngs`: all are healthy, and train.

They take images of digits, (batch, 8, 8, 1), and return ten outputs (`inception` in training: a
tuple, with the outputs of its auxiliary head).
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn import layers

WIDTH = 16


def conv(inputs, outputs, rngs, size=3, **options):
    options = {"kernel_init": nnx.initializers.he_normal(), **options}
    return nnx.Conv(inputs, outputs, (size, size), rngs=rngs, **options)


def norm(features, rngs, **options):
    return nnx.BatchNorm(features, rngs=rngs, **options)


class Classifier(nnx.Module):
    """A stem, blocks, and the mean over positions before a dense layer."""

    def __init__(self, blocks, rngs, *, width=WIDTH, stem=None, end=lambda x: x):
        self.stem = stem or nnx.Sequential(conv(1, width, rngs), norm(width, rngs), nnx.relu)
        self.blocks = nnx.List(blocks)
        self.head = nnx.Linear(width, 10, rngs=rngs)
        self.end = end

    def __call__(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(self.end(x), (1, 2)))


class Block(nnx.Module):
    """A module made of named parts and a function of them and the input."""

    def __init__(self, function, **parts):
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def __call__(self, x):
        return self.function(self, x)


def residual(rngs, *, zero_scale=True, activation=nnx.relu, after=None):
    """Two convolutions; the scale of the last normalization begins at 0 (Goyal et al. 2017)."""
    scale = nnx.initializers.zeros if zero_scale else nnx.initializers.ones

    def call(self, x):
        y = self.norm2(self.conv2(activation(self.norm1(self.conv1(x)))))
        return activation(x + (after(self, y) if after else y))

    return Block(
        call,
        conv1=conv(WIDTH, WIDTH, rngs), norm1=norm(WIDTH, rngs),
        conv2=conv(WIDTH, WIDTH, rngs), norm2=norm(WIDTH, rngs, scale_init=scale),
    )  # fmt: skip


def resnet_zero_scale(rngs):
    return Classifier([residual(rngs) for _ in range(4)], rngs)


def resnet_with_projections(rngs):
    """Stages that halve the positions, with a convolution on the way past (He et al. 2016)."""

    def stage(inputs, outputs):
        def call(self, x):
            y = nnx.relu(self.norm1(self.conv1(x)))
            return nnx.relu(self.norm2(self.conv2(y)) + self.norm3(self.shortcut(x)))

        return Block(
            call,
            conv1=conv(inputs, outputs, rngs, strides=2), norm1=norm(outputs, rngs),
            conv2=conv(outputs, outputs, rngs), norm2=norm(outputs, rngs),
            shortcut=conv(inputs, outputs, rngs, 1, strides=2), norm3=norm(outputs, rngs),
        )  # fmt: skip

    stem = nnx.Sequential(conv(1, 8, rngs), norm(8, rngs), nnx.relu)
    return Classifier([stage(8, 16), stage(16, 32)], rngs, width=32, stem=stem)


def resnet_pre_activation(rngs):
    def block():
        def call(self, x):
            y = self.conv1(nnx.relu(self.norm1(x)))
            return x + self.conv2(nnx.relu(self.norm2(y)))

        return Block(
            call,
            norm1=norm(WIDTH, rngs), conv1=conv(WIDTH, WIDTH, rngs),
            norm2=norm(WIDTH, rngs), conv2=conv(WIDTH, WIDTH, rngs),
        )  # fmt: skip

    return Classifier([block() for _ in range(4)], rngs, stem=conv(1, WIDTH, rngs), end=nnx.relu)


def bottleneck(rngs, groups=1):
    def block():
        def call(self, x):
            y = nnx.relu(self.norm1(self.reduce(x)))
            y = nnx.relu(self.norm2(self.middle(y)))
            return nnx.relu(x + self.norm3(self.expand(y)))

        inner = WIDTH // 2
        return Block(
            call,
            reduce=conv(WIDTH, inner, rngs, 1), norm1=norm(inner, rngs),
            middle=conv(inner, inner, rngs, feature_group_count=groups), norm2=norm(inner, rngs),
            expand=conv(inner, WIDTH, rngs, 1), norm3=norm(WIDTH, rngs),
        )  # fmt: skip

    return Classifier([block() for _ in range(4)], rngs)


def resnext(rngs):
    return bottleneck(rngs, groups=4)


def squeeze(width, rngs, gate=nnx.sigmoid, ratio=4):
    """Squeeze and excitation (Hu et al. 2018): channels scaled by a gate of their means."""

    def call(self, x):
        s = nnx.relu(self.down(jnp.mean(x, (1, 2))))
        return x * gate(self.up(s))[:, None, None, :]

    down = nnx.Linear(width, width // ratio, rngs=rngs)
    return Block(call, down=down, up=nnx.Linear(width // ratio, width, rngs=rngs))


def se_resnet(rngs):
    blocks = []
    for _ in range(4):
        block = residual(rngs, zero_scale=False, after=lambda self, y: self.squeeze(y))
        block.squeeze = squeeze(WIDTH, rngs)
        blocks.append(block)
    return Classifier(blocks, rngs)


def inverted_residual(rngs, activation, gate=None):
    """An expansion, a depthwise convolution and a linear projection (Sandler et al. 2018)."""
    wide = 4 * WIDTH

    def call(self, x):
        y = activation(self.norm1(self.expand(x)))
        y = activation(self.norm2(self.depthwise(y)))
        if gate is not None:
            y = self.squeeze(y)
        return x + self.norm3(self.project(y))

    parts = {} if gate is None else {"squeeze": squeeze(wide, rngs, gate)}
    return Block(
        call, **parts,
        expand=conv(WIDTH, wide, rngs, 1), norm1=norm(wide, rngs),
        depthwise=conv(wide, wide, rngs, feature_group_count=wide), norm2=norm(wide, rngs),
        project=conv(wide, WIDTH, rngs, 1), norm3=norm(WIDTH, rngs),
    )  # fmt: skip


def mobilenet_v2(rngs):
    return Classifier([inverted_residual(rngs, nnx.relu6) for _ in range(3)], rngs)


def mobilenet_v3(rngs):
    blocks = [inverted_residual(rngs, jax.nn.hard_swish, jax.nn.hard_sigmoid) for _ in range(3)]
    return Classifier(blocks, rngs)


def efficientnet(rngs):
    return Classifier([inverted_residual(rngs, nnx.silu, nnx.sigmoid) for _ in range(3)], rngs)


def shufflenet(rngs):
    """Half of the channels pass unchanged; then both halves are shuffled (Ma et al. 2018)."""

    def block():
        def call(self, x):
            kept, y = jnp.split(x, 2, axis=-1)
            y = nnx.relu(self.norm1(self.first(y)))
            y = self.norm2(self.depthwise(y))
            y = nnx.relu(self.norm3(self.last(y)))
            both = jnp.concatenate([kept, y], axis=-1)
            return both.reshape(*x.shape[:-1], 2, -1).swapaxes(-1, -2).reshape(x.shape)

        half = WIDTH // 2
        return Block(
            call,
            first=conv(half, half, rngs, 1), norm1=norm(half, rngs),
            depthwise=conv(half, half, rngs, feature_group_count=half), norm2=norm(half, rngs),
            last=conv(half, half, rngs, 1), norm3=norm(half, rngs),
        )  # fmt: skip

    return Classifier([block() for _ in range(4)], rngs)


def densenet(rngs):
    def block(width):
        def call(self, x):
            return jnp.concatenate([x, self.conv(nnx.relu(self.norm(x)))], axis=-1)

        return Block(call, norm=norm(width, rngs), conv=conv(width, 8, rngs))

    blocks = [block(WIDTH + 8 * i) for i in range(4)]
    return Classifier(blocks, rngs, width=WIDTH + 32, stem=conv(1, WIDTH, rngs))


class Inception(nnx.Module):
    """Parallel convolutions, and an auxiliary head in training (Szegedy et al. 2015)."""

    def __init__(self, rngs):
        self.stem = conv(1, WIDTH, rngs)
        self.ones = nnx.List([conv(WIDTH, 8, rngs, 1) for _ in range(3)])
        self.threes = nnx.List([conv(WIDTH, 8, rngs, 3) for _ in range(3)])
        self.auxiliary = nnx.Linear(WIDTH, 10, rngs=rngs)
        self.head = nnx.Linear(WIDTH, 10, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        side = None
        for one, three in zip(self.ones, self.threes, strict=True):
            x = nnx.relu(jnp.concatenate([one(x), three(x)], axis=-1))
            if side is None:
                side = self.auxiliary(jnp.mean(x, (1, 2)))
        outputs = self.head(self.drop(jnp.mean(x, (1, 2))))
        return outputs if self.drop.deterministic else (outputs, side)


def squeezenet(rngs):
    def fire():
        def call(self, x):
            y = nnx.relu(self.squeeze(x))
            return jnp.concatenate([nnx.relu(self.one(y)), nnx.relu(self.three(y))], axis=-1)

        return Block(
            call, squeeze=conv(WIDTH, 8, rngs, 1), one=conv(8, 8, rngs, 1), three=conv(8, 8, rngs)
        )

    return Classifier([fire() for _ in range(3)], rngs)


def convnext(rngs):
    """Depthwise convolutions, and residual branches scaled by 1e-6 at first (Liu et al. 2022)."""

    def block():
        def call(self, x):
            y = self.up(self.norm(self.depthwise(x)))
            return x + self.scale[...] * self.down(nnx.gelu(y))

        return Block(
            call,
            depthwise=conv(WIDTH, WIDTH, rngs, 5, feature_group_count=WIDTH),
            norm=nnx.LayerNorm(WIDTH, rngs=rngs),
            up=nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs),
            down=nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs),
            scale=nnx.Param(jnp.full((WIDTH,), 1e-6)),
        )

    stem = nnx.Sequential(conv(1, WIDTH, rngs, 2, strides=2), nnx.LayerNorm(WIDTH, rngs=rngs))
    return Classifier([block() for _ in range(4)], rngs, stem=stem)


def rezero(rngs):
    def block():
        def call(self, x):
            return x + self.alpha[...] * self.conv2(nnx.relu(self.conv1(x)))

        return Block(
            call, conv1=conv(WIDTH, WIDTH, rngs), conv2=conv(WIDTH, WIDTH, rngs),
            alpha=nnx.Param(jnp.zeros(())),
        )  # fmt: skip

    return Classifier([block() for _ in range(4)], rngs, stem=conv(1, WIDTH, rngs))


def fixup(rngs, depth=4):
    """No normalization: last layers and the head begin at 0 (Zhang et al. 2019)."""
    zeros, scale = nnx.initializers.zeros, depth**-0.5

    def block():
        def call(self, x):
            y = nnx.relu(self.conv1(x + self.bias1[...]) + self.bias2[...])
            y = self.scale[...] * self.conv2(y + self.bias3[...]) + self.bias4[...]
            return nnx.relu(x + y)

        first = conv(WIDTH, WIDTH, rngs, use_bias=False)
        first.kernel[...] *= scale
        biases = {f"bias{i}": nnx.Param(jnp.zeros(())) for i in range(1, 5)}
        return Block(
            call, conv1=first, scale=nnx.Param(jnp.ones(())), **biases,
            conv2=conv(WIDTH, WIDTH, rngs, use_bias=False, kernel_init=zeros),
        )  # fmt: skip

    model = Classifier(
        [block() for _ in range(depth)], rngs, stem=nnx.Sequential(conv(1, WIDTH, rngs), nnx.relu)
    )
    model.head.kernel[...] *= 0
    return model


def skip_init(rngs):
    """A residual branch with normalization, scaled by a learned 0 (De & Smith 2020)."""

    def block():
        def call(self, x):
            y = self.conv2(nnx.relu(self.conv1(nnx.relu(x))))
            return x + self.alpha[...] * y

        return Block(
            call, conv1=conv(WIDTH, WIDTH, rngs), conv2=conv(WIDTH, WIDTH, rngs),
            alpha=nnx.Param(jnp.zeros((1,))),
        )  # fmt: skip

    return Classifier([block() for _ in range(4)], rngs, stem=conv(1, WIDTH, rngs), end=nnx.relu)


def nf_net(rngs):
    """Standardized weights and scaled activations instead of normalization (Brock et al. 2021)."""

    def standardized(layer, x):
        kernel = layer.kernel[...]
        axes = tuple(range(kernel.ndim - 1))
        mean, variance = jnp.mean(kernel, axes), jnp.var(kernel, axes)
        fan_in = math.prod(kernel.shape[:-1])
        kernel = (kernel - mean) * jax.lax.rsqrt(variance * fan_in + 1e-4) * layer.gain[...]
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def make(inputs, outputs):
        kernel = nnx.initializers.lecun_normal()(rngs.params(), (3, 3, inputs, outputs))
        return Block(standardized, kernel=nnx.Param(kernel), gain=nnx.Param(jnp.ones(outputs)))

    def block(beta):
        def call(self, x):
            y = self.conv1(1.7129 * nnx.relu(x / beta))
            return x + 0.2 * self.gate[...] * self.conv2(1.7129 * nnx.relu(y))

        return Block(
            call, conv1=make(WIDTH, WIDTH), conv2=make(WIDTH, WIDTH), gate=nnx.Param(jnp.zeros(()))
        )

    blocks = [block(math.sqrt(1 + 0.04 * i)) for i in range(4)]
    return Classifier(blocks, rngs, stem=make(1, WIDTH), end=nnx.relu)


class UNet(nnx.Module):
    """Down and up again, joined at each size; a dense layer on what it draws."""

    def __init__(self, rngs):
        self.down1, self.down2 = conv(1, 8, rngs), conv(8, 16, rngs)
        self.bottom = conv(16, 16, rngs)
        self.up2 = nnx.ConvTranspose(16, 8, (2, 2), strides=(2, 2), rngs=rngs)
        self.join2 = conv(24, 8, rngs)
        self.up1 = nnx.ConvTranspose(8, 8, (2, 2), strides=(2, 2), rngs=rngs)
        self.join1 = conv(16, 8, rngs)
        self.head = nnx.Linear(8 * 64, 10, rngs=rngs)

    def __call__(self, x):
        first = nnx.relu(self.down1(x))
        second = nnx.relu(self.down2(nnx.max_pool(first, (2, 2), (2, 2))))
        y = nnx.relu(self.bottom(nnx.max_pool(second, (2, 2), (2, 2))))
        y = nnx.relu(self.join2(jnp.concatenate([self.up2(y), second], axis=-1)))
        y = nnx.relu(self.join1(jnp.concatenate([self.up1(y), first], axis=-1)))
        return self.head(y.reshape(len(y), -1))


def patches(rngs, width):
    """Patches of 2x2 pixels, as tokens."""

    def call(self, x):
        y = self.conv(x)
        y = y.reshape(len(y), -1, width)
        return y + self.position[...]

    position = 0.02 * jax.random.normal(rngs.params(), (1, 16, width))
    return Block(call, conv=conv(1, width, rngs, 2, strides=2), position=nnx.Param(position))


class ViT(nnx.Module):
    def __init__(self, rngs, width=32):
        self.patches = patches(rngs, width)
        self.blocks = nnx.List([self.block(rngs, width) for _ in range(2)])
        self.norm, self.head = nnx.LayerNorm(width, rngs=rngs), nnx.Linear(width, 10, rngs=rngs)

    @staticmethod
    def block(rngs, width):
        def call(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.down(nnx.gelu(self.up(self.norm2(x))))

        return Block(
            call, norm1=nnx.LayerNorm(width, rngs=rngs), norm2=nnx.LayerNorm(width, rngs=rngs),
            attention=nnx.MultiHeadAttention(2, width, decode=False, rngs=rngs),
            up=nnx.Linear(width, 2 * width, rngs=rngs),
            down=nnx.Linear(2 * width, width, rngs=rngs),
        )  # fmt: skip

    def __call__(self, x):
        x = self.patches(x)
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(self.norm(x), axis=1))


class Mixer(nnx.Module):
    """Dense layers over tokens and over channels in turn (Tolstikhin et al. 2021)."""

    def __init__(self, rngs, width=32):
        self.patches = patches(rngs, width)
        self.blocks = nnx.List([self.block(rngs, width) for _ in range(2)])
        self.head = nnx.Linear(width, 10, rngs=rngs)

    @staticmethod
    def block(rngs, width):
        def call(self, x):
            y = jnp.swapaxes(self.norm1(x), 1, 2)
            x = x + jnp.swapaxes(self.out1(nnx.gelu(self.in1(y))), 1, 2)
            return x + self.out2(nnx.gelu(self.in2(self.norm2(x))))

        return Block(
            call, norm1=nnx.LayerNorm(width, rngs=rngs), norm2=nnx.LayerNorm(width, rngs=rngs),
            in1=nnx.Linear(16, 32, rngs=rngs), out1=nnx.Linear(32, 16, rngs=rngs),
            in2=nnx.Linear(width, 64, rngs=rngs), out2=nnx.Linear(64, width, rngs=rngs),
        )  # fmt: skip

    def __call__(self, x):
        x = self.patches(x)
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.mean(x, axis=1))


class Recurrent(nnx.Module):
    """An LSTM or GRU over the rows of an image."""

    def __init__(self, rngs, cell):
        self.rnn = nnx.RNN(cell(8, 32, rngs=rngs), rngs=rngs)
        self.head = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(self.rnn(x[..., 0])[:, -1])


def lstm(rngs):
    return Recurrent(rngs, nnx.LSTMCell)


def gru(rngs):
    return Recurrent(rngs, nnx.GRUCell)


class WaveNet(nnx.Module):
    """Gated, dilated convolutions over rows, of which a sum is read (van den Oord et al. 2016)."""

    def __init__(self, rngs):
        def one(inputs, outputs, size, **options):
            return nnx.Conv(inputs, outputs, (size,), rngs=rngs, **options)

        self.stem = one(8, WIDTH, 1)
        dilations = [1, 2, 4]
        self.filters, self.gates = (
            nnx.List([one(WIDTH, WIDTH, 2, kernel_dilation=d, padding="CAUSAL") for d in dilations])
            for _ in range(2)
        )
        self.residuals, self.skips = (
            nnx.List([one(WIDTH, WIDTH, 1) for _ in dilations]) for _ in range(2)
        )
        self.head = nnx.Linear(WIDTH, 10, rngs=rngs)

    def __call__(self, x):
        x = self.stem(x[..., 0])
        total = jnp.zeros_like(x)
        for i in range(3):
            y = jnp.tanh(self.filters[i](x)) * nnx.sigmoid(self.gates[i](x))
            total = total + self.skips[i](y)
            x = x + self.residuals[i](y)
        return self.head(jnp.mean(nnx.relu(total), axis=1))


def stochastic_depth(rngs):
    """Residual branches that are left out with a probability of a half (Huang et al. 2016)."""

    class Dropped(nnx.Module):
        def __init__(self):
            self.conv1, self.conv2 = conv(WIDTH, WIDTH, rngs), conv(WIDTH, WIDTH, rngs)
            self.norm1, self.norm2 = norm(WIDTH, rngs), norm(WIDTH, rngs)
            self.gate = nnx.Dropout(0.5, broadcast_dims=(0, 1, 2, 3), rngs=rngs)

        def __call__(self, x):
            y = self.norm2(self.conv2(nnx.relu(self.norm1(self.conv1(x)))))
            return nnx.relu(x + self.gate(jnp.ones((1, 1, 1, 1))) * y)

    return Classifier([Dropped() for _ in range(4)], rngs)


class LoRA(nnx.Module):
    """Frozen dense layers with trained adapters of low rank beside them (Hu et al. 2022)."""

    def __init__(self, rngs, rank=4):
        self.base = nnx.List([nnx.Linear(64, 64, rngs=rngs) for _ in range(2)])
        self.a = nnx.List([nnx.Linear(64, rank, use_bias=False, rngs=rngs) for _ in range(2)])
        self.b = nnx.List(
            [nnx.Linear(rank, 64, use_bias=False, kernel_init=nnx.initializers.zeros, rngs=rngs)
             for _ in range(2)]
        )  # fmt: skip
        self.head = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for base, a, b in zip(self.base, self.a, self.b, strict=True):
            kernel, bias = (jax.lax.stop_gradient(p[...]) for p in (base.kernel, base.bias))
            x = nnx.relu(x @ kernel + bias[None] + b(a(x)))
        return self.head(x)


class TiedAutoencoder(nnx.Module):
    """A decoder with the encoder's weights, beside a classifier; it returns the classes."""

    def __init__(self, rngs):
        self.encoder = nnx.Linear(64, 32, rngs=rngs)
        self.refine = nnx.Linear(64, 32, rngs=rngs)
        self.head = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        code = nnx.relu(self.encoder(x))
        restored = code @ self.encoder.kernel[...].T
        return self.head(nnx.relu(self.refine(x - restored)))


class Spectral(nnx.Module):
    def __init__(self, rngs, wrapper):
        def dense(inputs, outputs):
            return wrapper(nnx.Linear(inputs, outputs, rngs=rngs), rngs=rngs)

        self.first, self.second = dense(64, 64), dense(64, 64)
        self.head = nnx.Linear(64, 10, rngs=rngs)
        self.options = {"update_stats": True} if wrapper is nnx.SpectralNorm else {}

    def __call__(self, x):
        x = nnx.relu(self.first(x.reshape(len(x), -1), **self.options))
        return self.head(nnx.relu(self.second(x, **self.options)))


def spectral_norm(rngs):
    return Spectral(rngs, nnx.SpectralNorm)


def weight_norm(rngs):
    return Spectral(rngs, nnx.WeightNorm)


class Maxout(nnx.Module):
    """The greatest of three weighted sums (Goodfellow et al. 2013)."""

    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(64, 96, rngs=rngs), nnx.Linear(32, 96, rngs=rngs)
        self.head = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for layer in (self.first, self.second):
            x = jnp.max(layer(x).reshape(len(x), 32, 3), axis=-1)
        return self.head(x)


class HardTanh(nnx.Module):
    """hard_tanh with Flax's default initializer."""

    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(64, 64, rngs=rngs) for _ in range(3)])
        self.head = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), -1)
        for layer in self.layers:
            x = jax.nn.hard_tanh(layer(x))
        return self.head(x)


class OneDimension(nnx.Module):
    def __init__(self, rngs):
        he = nnx.initializers.he_normal()
        self.convs = nnx.List(
            [nnx.Conv(i, 16, (3,), kernel_init=he, rngs=rngs) for i in (8, 16, 16)]
        )
        self.head = nnx.Linear(16, 10, rngs=rngs)

    def __call__(self, x):
        x = x[..., 0]
        for layer in self.convs:
            x = nnx.relu(layer(x))
        return self.head(jnp.mean(x, axis=1))


class ThreeDimensions(nnx.Module):
    def __init__(self, rngs):
        he = nnx.initializers.he_normal()
        self.convs = nnx.List(
            [nnx.Conv(i, 8, (3, 3, 3), kernel_init=he, rngs=rngs) for i in (1, 8)]
        )
        self.head = nnx.Linear(8 * 16, 10, rngs=rngs)

    def __call__(self, x):
        x = x.reshape(len(x), 4, 4, 4, 1)
        for layer in self.convs:
            x = nnx.relu(layer(x))
        return self.head(nnx.max_pool(x, (2, 2, 1), (2, 2, 1)).reshape(len(x), -1))


class FrozenBackbone(nnx.Module):
    """A backbone that is cut off on purpose, and a trained head on its features."""

    def __init__(self, rngs):
        self.backbone = nnx.List([conv(1, 32, rngs), conv(32, 32, rngs)])
        self.hidden, self.head = (nnx.Linear(32 * 16, 64, rngs=rngs), nnx.Linear(64, 10, rngs=rngs))

    def __call__(self, x):
        for layer in self.backbone:
            x = nnx.relu(layer(x))
        x = jax.lax.stop_gradient(nnx.max_pool(x, (2, 2), (2, 2)))
        return self.head(nnx.relu(self.hidden(x.reshape(len(x), -1))))


class IgnoredSide(nnx.Module):
    """A side head that the output does not depend on."""

    def __init__(self, rngs):
        self.stem, self.conv = conv(1, WIDTH, rngs), conv(WIDTH, WIDTH, rngs)
        self.side = nnx.Linear(WIDTH, 10, rngs=rngs)
        self.head = nnx.Linear(WIDTH, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        self.side(jnp.mean(x, (1, 2)))
        return self.head(jnp.mean(nnx.relu(self.conv(x)), (1, 2)))


class JcnnNames(nnx.Module):
    """jcnn's own layers with a gate."""

    def __init__(self, rngs):
        self.conv = layers.Conv(1, WIDTH, (3, 3), rngs=rngs)
        self.value, self.gate = (layers.Conv(WIDTH, WIDTH, (3, 3), rngs=rngs) for _ in range(2))
        self.head = layers.Dense(WIDTH, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv(x))
        return self.head(jnp.mean(self.value(x) * nnx.sigmoid(self.gate(x)), (1, 2)))


DESIGNS = {
    "resnet zero scale": resnet_zero_scale,
    "resnet projections": resnet_with_projections,
    "resnet pre-activation": resnet_pre_activation,
    "bottleneck": bottleneck,
    "resnext": resnext,
    "squeeze-excitation": se_resnet,
    "mobilenet v2": mobilenet_v2,
    "mobilenet v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "shufflenet": shufflenet,
    "densenet": densenet,
    "inception": Inception,
    "squeezenet": squeezenet,
    "convnext": convnext,
    "rezero": rezero,
    "fixup": fixup,
    "skip init": skip_init,
    "nf-net": nf_net,
    "u-net": UNet,
    "vit": ViT,
    "mlp-mixer": Mixer,
    "lstm": lstm,
    "gru": gru,
    "wavenet": WaveNet,
    "stochastic depth": stochastic_depth,
    "lora": LoRA,
    "tied autoencoder": TiedAutoencoder,
    "spectral norm": spectral_norm,
    "weight norm": weight_norm,
    "maxout": Maxout,
    "hard_tanh": HardTanh,
    "one dimension": OneDimension,
    "three dimensions": ThreeDimensions,
    "frozen backbone": FrozenBackbone,
    "ignored side": IgnoredSide,
    "jcnn gate": JcnnNames,
}
