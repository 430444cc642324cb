"""Independent random weights, and constants."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.nn import initializers as jax_initializers
from jax.typing import ArrayLike

from jcnn.initializers._named import (
    Initializer,
    factory,
    fans,
    from_jax,
    kernels_only,
    named,
    numbered,
)

glorot_normal = from_jax("glorot_normal")
"""Truncated normal distribution of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010)."""

glorot_uniform = from_jax("glorot_uniform")
"""Uniform distribution of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010)."""

he_normal = from_jax("he_normal")
"""Truncated normal distribution of variance `2 / fan_in` (He et al. 2015)."""

he_uniform = from_jax("he_uniform")
"""Uniform distribution of variance `2 / fan_in` (He et al. 2015)."""

lecun_normal = from_jax("lecun_normal")
"""Truncated normal distribution of variance `1 / fan_in` (LeCun et al. 1998)."""

lecun_uniform = from_jax("lecun_uniform")
"""Uniform distribution of variance `1 / fan_in` (LeCun et al. 1998)."""


@factory
def glorot_untruncated_normal() -> Initializer:
    """Normal distribution of variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).

    >>> glorot_untruncated_normal()(jax.random.key(0), (3, 3, 16, 32)).shape
    (3, 3, 16, 32)
    """
    return _untruncated("glorot_untruncated_normal", 1.0, "fan_avg")


@factory
def he_untruncated_normal() -> Initializer:
    """Normal distribution of variance `2 / fan_in` (He et al. 2015).

    >>> he_untruncated_normal()(jax.random.key(0), (3, 3, 16, 32)).shape
    (3, 3, 16, 32)
    """
    return _untruncated("he_untruncated_normal", 2.0, "fan_in")


@factory
def lecun_untruncated_normal() -> Initializer:
    """Normal distribution of variance `1 / fan_in` (LeCun et al. 1998).

    >>> lecun_untruncated_normal()(jax.random.key(0), (3, 3, 16, 32)).shape
    (3, 3, 16, 32)
    """
    return _untruncated("lecun_untruncated_normal", 1.0, "fan_in")


def _untruncated(name: str, scale: float, mode: str) -> Initializer:
    def init(key: Array, shape: Sequence[int], dtype: Any) -> Array:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[mode]
        std = jnp.asarray(math.sqrt(scale / fan), dtype)
        return jax.random.normal(key, tuple(shape), dtype) * std

    return named(name, init)


@factory
def standard_uniform() -> Initializer:
    """Uniform distribution on +-1/sqrt(fan_in), variance `1 / (3 fan_in)`.

    The "standard" initialization that Glorot and Bengio (2010) compare with.

    >>> kernel = standard_uniform()(jax.random.key(0), (100, 300))
    >>> float(abs(kernel).max()) <= 0.1
    True
    """
    uniform = jax_initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    return named("standard_uniform", kernels_only(uniform))


@factory
def normal(stddev: ArrayLike = 0.01, dtype: Any = jnp.float32) -> Initializer:
    """Normal distribution with this standard deviation, as `jax.nn.initializers.normal`.

    >>> normal(0.1)(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    function = jax_initializers.normal(stddev, dtype)
    return numbered("normal", stddev, function) if dtype == jnp.float32 else function


@factory
def constant(value: ArrayLike, dtype: Any = jnp.float32) -> Initializer:
    """The same value everywhere, as `jax.nn.initializers.constant`.

    >>> constant(0.5)(jax.random.key(0), (2,)).tolist()
    [0.5, 0.5]
    """
    function = jax_initializers.constant(value, dtype)
    plain = isinstance(value, (int, float)) and dtype == jnp.float32
    return numbered("constant", value, function) if plain else function
