"""Layers without weights, and `Sequential`."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jax import Array

from jcnn import activations
from jcnn import dense as dense_function
from jcnn.layers._learned import Activation, Learned


class Flatten(nnx.Module):
    """Collapse the axes of each example into one; see `jcnn.dense.flatten`.

    >>> import jax.numpy as jnp
    >>> Flatten()(jnp.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(self, start: int = 1) -> None:
        self.start = start

    def __call__(self, x: Array) -> Array:
        """Collapse the axes of `x` from `start` on."""
        return dense_function.flatten(x, start=self.start)


class Sequential(nnx.Module):
    """Layers applied in order, which can also return the output of each.

    A layer is an `nnx.Module` or any function of one array. Layers passed by keyword have that
    name; positional ones are named after their class or function and their position, as `conv_1`
    and `relu_2`. Functions of `jcnn.activations` (`jax.nn.relu`, `nnx.relu`, ...) and `Learned`
    ones become `Activation` layers, so that a diagnosis recognizes them; wrap an activation of your
    own in `Activation` for the same.

    Raises ValueError for a name that is taken, such as that of an attribute of every `nnx.Module`.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn.layers import Dense
    >>> rngs = nnx.Rngs(0)
    >>> net = Sequential(Dense(3, 2, rngs=rngs), nnx.relu, output=Dense(2, 1, rngs=rngs))
    >>> y, intermediates = net.intermediates(jnp.ones((4, 3)))
    >>> list(intermediates), y.shape
    (['dense_1', 'relu_2', 'output'], (4, 1))
    """

    def __init__(
        self, *layers: Callable[[Array], Array], **named_layers: Callable[[Array], Array]
    ) -> None:
        positional = {f"{_name(layer)}_{i}": layer for i, layer in enumerate(layers, start=1)}
        self.names = (*positional, *named_layers)
        for name, layer in (*positional.items(), *named_layers.items()):
            if not callable(layer):
                raise TypeError(
                    f"layer {name!r} is {type(layer).__name__}; expected an nnx.Module or a "
                    "function of one array"
                )
            if hasattr(self, name):  # an attribute of every nnx.Module, such as train
                raise ValueError(f"a layer cannot be called {name!r}; choose another name")
            setattr(self, name, _as_module(layer))

    def __call__(self, x: Array) -> Array:
        """Apply the layers in order."""
        return self.intermediates(x)[0]

    def intermediates(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """Apply the layers and return `(output, {name: output of that layer})`."""
        values = {}
        for name in self.names:
            x = values[name] = getattr(self, name)(x)
        return x, values


class _Function(nnx.Module):
    """A function that is not known to be an activation, as a layer."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        self.function = function

    def __call__(self, x: Array) -> Array:
        return self.function(x)


# gelu is jcnn's own, and users pass that of jax.nn and flax.nnx.
_ACTIVATIONS = (*activations.ACTIVATIONS.values(), jax.nn.gelu)


def _as_module(layer: Callable[[Array], Array]) -> nnx.Module:
    if isinstance(layer, nnx.Module):
        return layer
    elementwise = any(layer is function for function in _ACTIVATIONS)
    return Activation(layer) if elementwise or isinstance(layer, Learned) else _Function(layer)


def _name(layer: Any) -> str:
    """Return an identifier from the name of a function or class: `relu`, `batch_norm`, `conv`."""
    while isinstance(layer, (functools.partial, Learned)):
        layer = layer.function if isinstance(layer, Learned) else layer.func
    name = getattr(layer, "__name__", type(layer).__name__)
    return re.sub(r"\W", "", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).lower()
