"""Functions of which some arguments are learned, and activations as layers."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import activations, pooling


class Learned:
    """A function of which some arguments are parameters, as an activation or pooling of a layer.

    `initial` maps an argument to its first value, or to a function of the pooling window's shape.
    Each layer learns values of its own; called directly, the function has the initial ones.

    >>> import jax.numpy as jnp
    >>> from jcnn import activations
    >>> layer = Activation(Learned(activations.prelu, slope=0.25))
    >>> float(layer.parameters["slope"]), layer(jnp.array([-4.0, 2.0])).tolist()
    (0.25, [-1.0, 2.0])
    """

    def __init__(self, function: Callable[..., Array], **initial: Any) -> None:
        self.function = function
        self.initial = initial

    def values(self, *window_shape: Sequence[int]) -> dict[str, Array]:
        """The initial values, float32."""
        return {
            name: jnp.asarray(value(*window_shape) if callable(value) else value, jnp.float32)
            for name, value in self.initial.items()
        }

    def __call__(self, x: Array, *arguments: Any) -> Array:
        """The function with its initial values; the first of `arguments` is a window's shape."""
        return self.function(x, *arguments, **self.values(*arguments[:1]))


# He et al. 2015: one slope a layer. Lee et al. 2016: one share of the maximum a layer. Radenovic
# et al. 2019: one power a layer. Weights start as the centre-weighted Gaussian.
learned_prelu = Learned(activations.prelu, slope=0.25)
learned_mixed_pool = Learned(pooling.mixed_pool, alpha=0.5)
learned_gem_pool = Learned(pooling.gem_pool, p=3.0)
learned_weighted_avg_pool = Learned(pooling.weighted_avg_pool, weights=pooling.gaussian_weights)


class Activation(nnx.Module):
    """An elementwise function, or a `Learned` one, as a layer.

    >>> import jax
    >>> Activation(jax.nn.relu)(jax.numpy.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, function: Callable[..., Array]) -> None:
        self.function, self.parameters = with_parameters(function)

    def __call__(self, x: Array) -> Array:
        """Apply the function."""
        return self.function(x, **{name: value[...] for name, value in self.parameters.items()})


def with_parameters(
    function: Callable[..., Array], *window_shape: Sequence[int]
) -> tuple[Callable[..., Array], Any]:
    """The function to call, and an `nnx.Dict` of what it learns."""
    if not isinstance(function, Learned):
        return function, nnx.Dict()
    values = function.values(*window_shape)
    return function.function, nnx.Dict({name: nnx.Param(v) for name, v in values.items()})
