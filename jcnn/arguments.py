"""Arguments that several functions share: floating dtypes, windows, strides and padding."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

Padding = str | int | Sequence[tuple[int, int]]


def floating(x: ArrayLike, name: str = "x") -> Array:
    """Return `x` as an array; TypeError if its dtype is not floating point."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} is {x.dtype}; expected a floating dtype: cast with .astype")
    return x


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether `value` is a single integer (NumPy's included), not a float or a sequence."""
    return bool(_integers([value]))


def window_sizes(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    """Return `value` as a tuple; ValueError unless it is 1 to 3 positive integers."""
    sizes = _integers(value)
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
        raise ValueError(
            f"{name}={value!r}; expected 1 to 3 positive sizes, one per spatial axis, such as "
            "(2, 2)"
        )
    return sizes


def window_of(name: str, value: int | Sequence[int], x: Array) -> tuple[int, ...]:
    """Return one size per spatial axis of `x`.

    A sequence says how many axes are spatial. An integer means all axes of `x` between the first
    (batch) and the last (channels).
    """
    if not is_integer(value):
        sizes = window_sizes(name, value)
        if x.ndim < len(sizes) + 1:
            raise ValueError(
                f"x has shape {x.shape}, but {name}={sizes} needs (*batch, *spatial, channels) "
                f"with {len(sizes)} spatial axes: add the missing axes"
            )
        return sizes
    if not 3 <= x.ndim <= 5:
        raise ValueError(
            f"x has shape {x.shape}, but the integer {name}={value} covers all axes between the "
            "batch (first) and the channels (last); expected 1 to 3 of them: give one size per "
            f"spatial axis, such as {name}=({value}, {value})"
        )
    return window_sizes(name, (value,) * (x.ndim - 2))


def per_axis(name: str, value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """Return one positive integer per spatial axis, an integer repeated `n` times."""
    values = _integers([value] * n) or _integers(value)
    if len(values) != n or min(values) < 1:
        raise ValueError(
            f"{name}={value!r}; expected a positive integer, or {n} of them, one per spatial axis"
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
    """Return a `(low, high)` pair per spatial axis; `reach` is the extent of the dilated window.

    `"SAME"` gives `ceil(size / stride)` positions, with the odd one at the end. An integer pads
    every axis by that much on both sides. `"CIRCULAR"`, if `circular` allows it, gives pairs that
    keep the size at stride 1.
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
    if is_integer(padding):
        pairs = [_integers((padding, padding))] * n
    else:
        pairs = [_integers(pair) for pair in padding] if isinstance(padding, Iterable) else []
    if len(pairs) != n or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        names = "'SAME', 'VALID', 'CIRCULAR'" if circular else "'SAME', 'VALID'"
        raise ValueError(
            f"padding={padding!r}; expected {names}, a non-negative integer, or {n} (low, high) "
            "pairs of them, one per spatial axis"
        )
    return tuple((low, high) for low, high in pairs)


def _integers(values: Any) -> tuple[int, ...]:
    """Return `values` as Python integers; empty if one of them is not an integer."""
    try:
        return tuple(operator.index(value) for value in values)
    except TypeError:
        return ()
