"""Factories of initializers, and the names of what they return."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.nn import initializers as jax_initializers

Initializer = Callable[..., Array]


@dataclass(frozen=True)
class NamedInitializer:
    """An initializer that a factory of this module returned, with the name it has in a study.

    A factory returns the same object for the same arguments. Draws with arguments other than those
    in the name are plain functions.

    >>> from jcnn.initializers import he_normal, normal, orthogonal
    >>> he_normal().name, orthogonal(1.4).name, normal(0.01).name
    ('he_normal', 'orthogonal:1.4', 'normal:0.01')
    """

    name: str
    function: Initializer

    def __call__(self, key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        """Draw an array of this shape and dtype."""
        return self.function(key, tuple(shape), dtype)


_INSTANCES: dict[str, NamedInitializer] = {}


def named(name: str, function: Initializer) -> NamedInitializer:
    """Return the one initializer of this name, made from `function` the first time."""
    return _INSTANCES.setdefault(name, NamedInitializer(name, function))


def numbered(name: str, number: Any, function: Initializer) -> Initializer:
    """Name an initializer after its factory and number; an array as the number gives no name."""
    if isinstance(number, Array):
        return function
    value = float(number)
    return named(f"{name}:{int(value) if value.is_integer() else value!r}", function)


def factory(function: Callable[..., Initializer]) -> Callable[..., Initializer]:
    """Make a factory raise a TypeError if it is used as an initializer, without being called."""

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Initializer:
        if len(args) > 1 and isinstance(args[0], Array) and isinstance(args[1], Sequence):
            raise TypeError(
                f"{function.__name__} is a factory of initializers, not an initializer; call it: "
                f"{function.__name__}()"
            )
        return function(*args, **kwargs)

    return checked


def from_jax(name: str) -> Callable[..., Initializer]:
    """Return the factory of JAX with this name, whose default initializer has the name too."""
    make = getattr(jax_initializers, name)

    @factory
    @functools.wraps(make)
    def make_named(*args: Any, **kwargs: Any) -> Initializer:
        function = make(*args, **kwargs)
        return function if args or kwargs else named(name, kernels_only(function))

    return make_named


def kernels_only(function: Initializer) -> Initializer:
    """Make an initializer raise a ValueError for shapes that are not kernels."""

    def init(key: Array, shape: Sequence[int], dtype: Any) -> Array:
        fans(shape)  # raises for what is not a kernel
        return function(key, shape, dtype)

    return init


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return `(fan_in, fan_out)` of a kernel `(*window, in, out)`: window size times in or out.

    Raises ValueError for fewer than two axes, or an empty one.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(
            f"shape {tuple(shape)} has no fans; expected (*window, in, out), every size positive"
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]
