"""One small network for images, written for four libraries and as plain functions."""

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
from flax import linen, nnx


class LinenNet(linen.Module):
    """Convolution, batch normalization, dropout, dense; a flag says whether it trains."""

    outputs: int
    activation: object = linen.relu
    dropout: float = 0.0

    @linen.compact
    def __call__(self, x, train):
        x = linen.Conv(4, (3, 3), name="conv")(x)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9, name="norm")(x)
        x = self.activation(x).mean((1, 2))
        x = linen.Dropout(self.dropout, deterministic=not train)(x)
        return linen.Dense(self.outputs, name="dense")(x)


class NnxNet(nnx.Module):
    """The same, with a flag, keys and several outputs."""

    def __init__(self, num_classes, *, activation=nnx.relu, dropout=0.0, rngs):
        self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(dropout)
        self.dense = nnx.Linear(4, num_classes, rngs=rngs)
        self.activation = activation

    def __call__(self, x, train=False, rngs=None):
        x = self.norm(self.conv(x), use_running_average=not train)
        x = self.activation(x).mean((1, 2))
        x = self.drop(x, deterministic=not train, rngs=rngs)
        return {"logits": self.dense(x), "features": x}


class EquinoxNet(eqx.Module):
    """Channels first, one example at a time; dropout takes a key."""

    conv: eqx.nn.Conv2d
    drop: eqx.nn.Dropout
    dense: eqx.nn.Linear
    activation: object = eqx.field(static=True)

    def __init__(self, num_classes, activation=jax.nn.relu, dropout=0.0, *, key):
        first, last = jax.random.split(key)
        self.conv = eqx.nn.Conv2d(1, 4, 3, padding=1, key=first)
        self.drop = eqx.nn.Dropout(dropout)
        self.dense = eqx.nn.Linear(4, num_classes, key=last)
        self.activation = activation

    def __call__(self, x, key=None):
        x = self.activation(self.conv(jnp.moveaxis(x, -1, 0))).mean((1, 2))
        return self.dense(self.drop(x, key=key))


def linen_net(outputs, activation=linen.relu, dropout=0.0):
    """Build the network of Linen."""
    return LinenNet(outputs, activation, dropout)


def haiku_net(outputs, activation=jax.nn.relu):
    """Build a pair of Haiku's functions."""

    def network(x):
        x = activation(hk.Conv2D(4, 3, name="conv")(x)).mean((1, 2))
        return hk.Linear(outputs, name="dense")(x)

    transformed = hk.without_apply_rng(hk.transform(network))
    return transformed.init, transformed.apply


def plain_net(outputs, activation=jax.nn.relu):
    """Build a pair of plain functions, whose parameters are a list."""

    def init(key, x):
        first, last = jax.random.split(key)
        return [
            {"w": 0.3 * jax.random.normal(first, (3, 3, x.shape[-1], 4)), "b": jnp.zeros(4)},
            {"w": 0.5 * jax.random.normal(last, (4, outputs)), "b": jnp.zeros(outputs)},
        ]

    def apply(params, x):
        sums = jax.lax.conv_general_dilated(
            x, params[0]["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = activation(sums + params[0]["b"][None, None, None]).mean((1, 2))
        return x @ params[1]["w"] + params[1]["b"][None]

    return init, apply
