"""`lax.reduce_window` and its derivatives in terms of jcnn's pooling."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jcnn.convolution._general import is_plain
from jcnn.pooling import max_pool, sum_pool

# The most spatial axes that pooling takes.
_MOST_AXES = 3
# The most positions along an axis of overlapping windows: each of them is a slice.
_MOST_TAPS = 32


class Pooling(NamedTuple):
    """The arguments of a pooling function for `(*batch, *spatial, channels)`.

    `first` and `last` are the first and the last axis that windows extend over; all axes between
    them are spatial, those before are batch axes, and those after become one axis of channels.
    """

    first: int
    last: int
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def __call__(self, pool: Callable[..., Array], x: Array) -> Array:
        """Apply a pooling function with these arguments."""
        before, after = x.shape[: self.last + 1], x.shape[self.last + 1 :]
        y = pool(
            x.reshape(*before, math.prod(after)),
            self.window,
            self.strides,
            self.padding,
            dilation=self.dilation,
        )
        return y.reshape(*y.shape[:-1], *after)


def pooling_of(aval: Any, params: dict[str, Any]) -> Pooling | None:
    """Return the pooling that a windowed reduction is; None if pooling does not cover it."""
    window, strides, padding = (
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
    )
    ones = (1,) * len(window)
    dilation = params.get("window_dilation", ones)
    if tuple(params.get("base_dilation", ones)) != ones or not is_plain(aval) or 0 in aval.shape:
        return None
    extended = [
        axis
        for axis, (size, stride, pair) in enumerate(zip(window, strides, padding, strict=True))
        if size > 1 or stride > 1 or any(pair)
    ]
    if not extended:
        return None
    first, last = extended[0], extended[-1]
    chosen = slice(first, last + 1)
    found = Pooling(
        first,
        last,
        tuple(window[chosen]),
        tuple(strides[chosen]),
        tuple(map(tuple, padding[chosen])),
        tuple(dilation[chosen]),
    )
    return found if _is_covered(found, aval.shape[chosen]) else None


def _is_covered(pooling: Pooling, spatial: Sequence[int]) -> bool:
    """Whether every window has positions that are not padding, and they are not too many."""
    for length, size, stride, gap, (low, high) in zip(
        spatial, *pooling[2:4], pooling.dilation, pooling.padding, strict=True
    ):
        reach = (size - 1) * gap + 1
        if not (min(low, high) >= 0 and max(low, high) < reach <= length + low + high):
            return False
        if size > _MOST_TAPS and size not in (stride, length):
            return False
    return len(spatial) <= _MOST_AXES


def is_supported(name: str, aval: Any, params: dict[str, Any]) -> bool:
    """Whether jcnn's pooling computes this primitive, for an operand with this aval."""
    # Sums of integers wrap around, and the least integer has no negative.
    kinds = (jnp.floating, jnp.integer) if name == "reduce_window_max" else (jnp.floating,)
    if not any(jnp.issubdtype(aval.dtype, kind) for kind in kinds):
        return False
    if jnp.issubdtype(aval.dtype, jnp.floating) and aval.dtype.itemsize < 2:
        return False
    if name in _DERIVATIVES and params["select_prim"].name not in ("ge", "le"):
        return False
    return pooling_of(aval, params) is not None


def _smallest(x: Array, pooling: Pooling) -> Array:
    return -pooling(max_pool, -x)


def _largest(x: Array, pooling: Pooling) -> Array:
    return pooling(max_pool, x)


def _sum(x: Array, pooling: Pooling) -> Array:
    return pooling(sum_pool, x)


def _scatter_add(source: Array, operand: Array, pool: Callable[[Array], Array]) -> Array:
    """Add each window's `source` at the operand that is selected: the gradient of pooling."""
    _, pullback = jax.vjp(pool, operand)
    return pullback(source)[0]


def _gather_add(tangents: Array, operand: Array, pool: Callable[[Array], Array]) -> Array:
    """Return each window's tangent at the operand that is selected."""
    return jax.jvp(pool, (operand,), (tangents,))[1]


_FORWARD = {
    "reduce_window_max": _largest,
    "reduce_window_min": _smallest,
    "reduce_window_sum": _sum,
}
_DERIVATIVES = {"select_and_scatter_add": _scatter_add, "select_and_gather_add": _gather_add}
NAMES = (*_FORWARD, *_DERIVATIVES)


def from_params(name: str, inputs: Sequence[Array], params: dict[str, Any]) -> Array:
    """Compute what the primitive of this name computes with these params, if it is supported."""
    operand = inputs[-1]
    pooling = pooling_of(jax.typeof(operand), params)
    assert pooling is not None, f"is_supported({name!r}) is False"
    if name in _FORWARD:
        return _FORWARD[name](operand, pooling)
    selected = _largest if params["select_prim"].name == "ge" else _smallest
    return _DERIVATIVES[name](inputs[0], operand, partial(selected, pooling=pooling))
