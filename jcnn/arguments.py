"""Arguments that several functions read alike: floating dtypes, windows, strides and padding."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

Padding = str | Sequence[tuple[int, int]]


def floating(x: ArrayLike, name: str = "x") -> Array:
    """`x` as an array, checked to have a floating dtype."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} is {x.dtype}; expected a floating dtype: cast with .astype")
    return x


def window_sizes(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """`value` checked to be 1 to 3 positive integers, one a spatial axis."""
    sizes = _integers(value)
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ValueError(
            f"{name}={value!r}; expected 1 to 3 positive sizes, one a spatial axis, such as (2, 2)"
        )
    return sizes


def per_axis(name: str, value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """`value` once for each of `n` spatial axes, checked to be positive integers."""
    values = _integers([value] * n) or _integers(value)
    if len(values) != n or min(values) < 1:
        raise ValueError(
            f"{name}={value!r}; expected a positive integer, or {n} of them, one a spatial axis"
        )
    return values


def pads(
    padding: Padding,
    spatial: Sequence[int],
    reach: Sequence[int],
    strides: Sequence[int],
    *,
    circular: bool = False,
) -> tuple[tuple[int, int], ...]:
    """A `(low, high)` pair for each spatial axis; `reach` is how far the dilated window spans.

    `"SAME"` gives `ceil(size / stride)` positions, the odd one at the end; `"CIRCULAR"`, where
    `circular` allows it, pairs that keep the size at stride 1.
    """
    n = len(spatial)
    kind = padding if isinstance(padding, str) else None
    if kind == "VALID":
        return ((0, 0),) * n
    if kind == "CIRCULAR" and circular:
        return tuple(((r - 1) // 2, r // 2) for r in reach)
    if kind == "SAME":
        totals = [
            max((-(-s // stride) - 1) * stride + r - s, 0)
            for s, r, stride in zip(spatial, reach, strides, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    pairs = [_integers(pair) for pair in padding] if isinstance(padding, Iterable) else []
    if len(pairs) != n or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        known = "'SAME', 'VALID', 'CIRCULAR'" if circular else "'SAME', 'VALID'"
        raise ValueError(
            f"padding={padding!r}; expected {known}, or {n} (low, high) pairs of non-negative "
            "integers, one a spatial axis"
        )
    return tuple((low, high) for low, high in pairs)


def _integers(values: Any) -> tuple[int, ...]:
    """`values` as Python integers (numpy's are taken, 1.5 is not); empty where one is none."""
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        return ()
