"""Pooling as a layer: its window, what of it is learned, and the keys of one that draws."""

import functools
import inspect
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from jax import Array

from jcnn.arguments import window_sizes
from jcnn.layers.learned import with_parameters

# The stream of an `nnx.Rngs` that pooling draws from.
STREAM = "pooling"


class Pool(nnx.Module):
    """One pooling function, or a `Learned` one, with its window; `strides` default to the window.

    A function that takes `key` by keyword draws, as `jcnn.pooling.stochastic_pool` does. It needs
    `rngs`, from which the layer forks a stream of its own, as `nnx.Dropout` does: "pooling", or
    where there is none, one made of the default stream's key. The default stream is not advanced,
    so what is drawn from it, such as the parameters of later layers, is as with any other pooling.
    In training each call gets a new key; in evaluation (`model.eval()` sets `deterministic`) `key`
    is None. `deterministic` is passed on where the function takes it. Other functions leave `rngs`
    alone.

    Raises ValueError for a function that draws where `rngs` is missing, or has no such stream.

    >>> import jax, jax.numpy as jnp
    >>> from jcnn import layers, pooling
    >>> Pool(layers.learned_weighted_avg_pool, (2, 2))(jnp.ones((1, 4, 4, 3))).shape
    (1, 2, 2, 3)
    >>> pool = Pool(pooling.stochastic_pool, (2,), rngs=nnx.Rngs(0))
    >>> x = jnp.tile(jnp.array([[1.0], [3.0]]), (100, 1))
    >>> sorted(set(pool(x)[:, 0].tolist())), bool((pool(x) != pool(x)).any())
    ([1.0, 3.0], True)
    >>> pool.eval()
    >>> set(pool(x)[:, 0].tolist())  # the mean: (1 * 1 + 3 * 3) / 4
    {2.5}
    """

    def __init__(
        self,
        pooling: Callable[..., Array],
        window_shape: Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
        *,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> None:
        self.window_shape = window_sizes("window_shape", window_shape)
        self.pooling, self.parameters = with_parameters(pooling, self.window_shape)
        self.strides = strides
        self.padding = padding
        self.deterministic = False
        takes = _keywords(self.pooling)
        self.draws = "key" in takes
        self.switches = "deterministic" in takes
        self.rngs = nnx.data(_stream(self.pooling, rngs) if self.draws else None)

    def __call__(self, x: Array) -> Array:
        """Pool the spatial axes of `x`."""
        options: dict[str, Any] = {name: value[...] for name, value in self.parameters.items()}
        if self.draws:
            options["key"] = None if self.deterministic else self.rngs()
        if self.draws and self.switches:
            options["deterministic"] = self.deterministic
        return self.pooling(x, self.window_shape, self.strides, self.padding, **options)

    def set_view(self, deterministic: bool | None = None) -> None:
        """What `nnx.view(model, deterministic=...)` calls."""
        if deterministic is not None:
            self.deterministic = deterministic


def _keywords(function: Callable[..., Any]) -> set[str]:
    """The keywords that a function takes, less those that a `functools.partial` gives it."""
    given: set[str] = set()
    while isinstance(function, functools.partial):
        given |= set(function.keywords)
        function = function.func
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return set()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name for one in found if one.kind in named} - given


def _stream(pooling: Callable[..., Any], rngs: nnx.Rngs | nnx.RngStream | None) -> nnx.RngStream:
    if isinstance(rngs, nnx.RngStream):
        return rngs.fork()
    name = getattr(pooling, "__name__", "the pooling function")
    if rngs is None:
        raise ValueError(f"{name} draws, but rngs is missing; give Pool(..., rngs=nnx.Rngs(seed))")
    if not isinstance(rngs, nnx.Rngs):
        raise TypeError(f"rngs is {type(rngs).__name__}; expected nnx.Rngs or nnx.RngStream")
    if STREAM not in rngs:
        if "default" not in rngs:
            raise ValueError(
                f"{name} draws, but rngs has neither a {STREAM!r} stream nor a default one; give "
                f"nnx.Rngs(seed), or nnx.Rngs(..., {STREAM}=seed)"
            )
        # Not taken from the default stream, whose next keys are those of later layers' weights.
        key = jax.random.fold_in(rngs["default"].key[...], zlib.crc32(STREAM.encode()))
        setattr(rngs, STREAM, nnx.RngStream(key, tag=STREAM))
    return rngs[STREAM].fork()
