"""Functions with learned arguments, and activations as layers."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import activations, pooling
from jcnn.arguments import is_integer


class Learned:
    """An activation or pooling function, some of whose arguments are parameters of the layer.

    `initial` maps an argument to its initial value, or to a function of the pooling window's shape
    that returns it. Each layer that is built with a `Learned` function has its own parameters;
    called directly, the function uses the initial values.

    >>> import jax.numpy as jnp
    >>> from jcnn import activations
    >>> layer = Activation(Learned(activations.prelu, slope=0.25))
    >>> float(layer.parameters["slope"]), layer(jnp.array([-4.0, 2.0])).tolist()
    (0.25, [-1.0, 2.0])
    """

    def __init__(self, function: Callable[..., Array], **initial: Any) -> None:
        self.function = function
        self.initial = initial

    def values(self, *window_shape: int | Sequence[int]) -> dict[str, Array]:
        """Return the initial values in float32.

        Raises ValueError if a value depends on the window's shape and that is an integer.
        """
        values = {}
        for name, value in self.initial.items():
            if callable(value) and any(map(is_integer, window_shape)):
                size = window_shape[0]
                raise ValueError(
                    f"window_shape={size}; the shape of the learned {name} depends on it, so it "
                    f"needs one size per spatial axis, such as ({size}, {size})"
                )
            initial = value(*window_shape) if callable(value) else value
            values[name] = jnp.asarray(initial, jnp.float32)
        return values

    def __call__(self, x: Array, *arguments: Any) -> Array:
        """Call the function with its initial values; the first of `arguments` is a window."""
        return self.function(x, *arguments, **self.values(*arguments[:1]))


# One slope (He et al. 2015), one share of the maximum (Lee et al. 2016), one power (Radenovic et
# al. 2019) per layer; the weights start as the centre-weighted Gaussian.
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
    function: Callable[..., Array], *window_shape: int | Sequence[int]
) -> tuple[Callable[..., Array], Any]:
    """Return the function to call and an `nnx.Dict` of the parameters it learns."""
    if not isinstance(function, Learned):
        return function, nnx.Dict()
    values = function.values(*window_shape)
    return function.function, nnx.Dict({name: nnx.Param(v) for name, v in values.items()})
