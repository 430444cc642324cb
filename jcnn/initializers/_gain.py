"""Gains: what kernels are multiplied by so that a signal keeps its size."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.initializers._named import Initializer, NamedInitializer
from jcnn.quadrature import Smooth, expectation


def scaled(initializer: Initializer, gain: ArrayLike) -> Initializer:
    """Return an initializer that draws `gain` times what `initializer` draws.

    >>> import jax
    >>> from jcnn.initializers import ones
    >>> float(scaled(ones, 0.5)(jax.random.key(0), (2, 2))[0, 0])
    0.5
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return initializer(key, shape, dtype) * jnp.asarray(gain, dtype)

    if isinstance(initializer, NamedInitializer) and isinstance(gain, (int, float)):
        return NamedInitializer(f"{gain!r} * {initializer.name}", init)
    return init


def gain(activation: Callable[..., Array]) -> float:
    """Return `E[f(z)^2] ** -0.5` for z standard normal: the gain that keeps the second moment.

    This is the rule of He et al. (2015) for any activation, sqrt 2 for relu. For signals that are
    centred on the way, see `jcnn.activations.variance_gain`.

    >>> import jax
    >>> round(gain(jax.nn.relu), 4)
    1.4142
    """
    smooth = Smooth(activation)
    second_moment = expectation(lambda x: smooth.value(x) ** 2, 1.0)
    return second_moment**-0.5 if second_moment > 0 else math.inf
