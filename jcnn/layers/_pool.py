"""Pooling as a layer: its window, its learned parameters, and the random keys it draws."""

import functools
import inspect
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx
from jax import Array

from jcnn.arguments import Padding, is_integer, window_of, window_sizes
from jcnn.layers._learned import with_parameters

# The `nnx.Rngs` stream of pooling.
STREAM = "pooling"


class Pool(nnx.Module):
    """A pooling function, or a `Learned` one, with its window; `strides` default to the window.

    `window_shape` has one size per spatial axis; an integer covers all axes of the input between
    the first (batch) and the last (channels). The function is called as `pooling(x, window_shape,
    strides, padding)` with a tuple `window_shape`.

    A function with a keyword argument `key` is random, as `jcnn.pooling.stochastic_pool` is. It
    needs `rngs`, from which the layer forks its own stream, as `nnx.Dropout` does: "pooling", or if
    `rngs` has none, one made from the default stream's key. The default stream does not advance, so
    that what is drawn from it, such as the parameters of later layers, does not depend on the
    pooling. In training each call gets a new key; in evaluation (`model.eval()` sets
    `deterministic`) `key` is None. `deterministic` is passed on if the function accepts it. Other
    functions leave `rngs` alone.

    Raises ValueError for a random function if `rngs` is missing or has neither stream.

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
        window_shape: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Padding = "VALID",
        *,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> None:
        self.window_shape = (
            window_shape if is_integer(window_shape) else window_sizes("window_shape", window_shape)
        )
        self.pooling, self.parameters = with_parameters(pooling, self.window_shape)
        self.strides = strides
        self.padding = padding
        self.deterministic = False
        keywords = _keywords(self.pooling)
        self.draws = "key" in keywords
        self.switches = "deterministic" in keywords
        self.rngs = nnx.data(_stream(self.pooling, rngs) if self.draws else None)

    def __call__(self, x: Array) -> Array:
        """Pool the spatial axes of `x`."""
        options: dict[str, Any] = {name: value[...] for name, value in self.parameters.items()}
        if self.draws:
            options["key"] = None if self.deterministic else self.rngs()
        if self.draws and self.switches:
            options["deterministic"] = self.deterministic
        window = window_of("window_shape", self.window_shape, x)
        return self.pooling(x, window, self.strides, self.padding, **options)

    def set_view(self, deterministic: bool | None = None) -> None:
        """Set the mode; `nnx.view(model, deterministic=...)` calls this."""
        if deterministic is not None:
            self.deterministic = deterministic


def _keywords(function: Callable[..., Any]) -> set[str]:
    """Return the keywords that a function accepts, without those that a partial has filled in."""
    filled: set[str] = set()
    while isinstance(function, functools.partial):
        filled |= set(function.keywords)
        function = function.func
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return set()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {parameter.name for parameter in parameters if parameter.kind in by_name} - filled


def _stream(pooling: Callable[..., Any], rngs: nnx.Rngs | nnx.RngStream | None) -> nnx.RngStream:
    if isinstance(rngs, nnx.RngStream):
        return rngs.fork()
    name = getattr(pooling, "__name__", "the pooling function")
    if rngs is None:
        raise ValueError(
            f"{name} is random, but rngs is missing; write Pool(..., rngs=nnx.Rngs(seed))"
        )
    if not isinstance(rngs, nnx.Rngs):
        raise TypeError(f"rngs is {type(rngs).__name__}; expected nnx.Rngs or nnx.RngStream")
    if STREAM not in rngs:
        if "default" not in rngs:
            raise ValueError(
                f"{name} is random, but rngs has neither a {STREAM!r} stream nor a default one; "
                f"pass nnx.Rngs(seed), or nnx.Rngs(..., {STREAM}=seed)"
            )
        # Not taken from the default stream, whose next keys are those of later layers' weights.
        key = jax.random.fold_in(rngs["default"].key[...], zlib.crc32(STREAM.encode()))
        setattr(rngs, STREAM, nnx.RngStream(key, tag=STREAM))
    return rngs[STREAM].fork()
