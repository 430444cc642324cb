"""Layers without weights, and layers in a row."""

from collections.abc import Callable

from flax import nnx
from jax import Array

from jcnn import dense as dense_function


class Flatten(nnx.Module):
    """Collapse the axes of each example into one; see `jcnn.dense.flatten`.

    >>> import jax.numpy as jnp
    >>> Flatten()(jnp.ones((2, 4, 4, 3))).shape
    (2, 48)
    """

    def __init__(self, start: int = 1) -> None:
        self.start = start

    def __call__(self, x: Array) -> Array:
        """Collapse the axes from `start` on."""
        return dense_function.flatten(x, start=self.start)


class Dropout(nnx.Dropout):
    """Flax's dropout: zero with probability `rate` in training, scale the rest by 1/(1-rate).

    >>> import jax.numpy as jnp
    >>> layer = Dropout(0.5, rngs=nnx.Rngs(0))
    >>> sorted(set(layer(jnp.ones(100)).tolist())), layer(jnp.ones(2), deterministic=True).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """


class Sequential(nnx.Module):
    """Named layers applied in order, which also returns what each of them gave.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn.layers import Activation, Dense
    >>> net = Sequential(dense=Dense(3, 2, rngs=nnx.Rngs(0)), activation=Activation(jnp.tanh))
    >>> y, intermediates = net.intermediates(jnp.ones((4, 3)))
    >>> list(intermediates), y.shape
    (['dense', 'activation'], (4, 2))
    """

    def __init__(self, **layers: Callable[[Array], Array]) -> None:
        self.names = tuple(layers)
        for name, layer in layers.items():
            if hasattr(self, name):  # an attribute of every nnx.Module, such as train
                raise ValueError(f"a layer cannot be called {name!r}; choose another name")
            setattr(self, name, layer)

    def __call__(self, x: Array) -> Array:
        """Apply every layer in order."""
        return self.intermediates(x)[0]

    def intermediates(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """Apply every layer, and return `(output, {name: output of that layer})`."""
        values = {}
        for name in self.names:
            x = values[name] = getattr(self, name)(x)
        return x, values
