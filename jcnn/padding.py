"""How convolution and pooling read strides, dilation and padding."""

from collections.abc import Sequence

Padding = str | Sequence[tuple[int, int]]


def per_axis(name: str, value: int | Sequence[int], n: int) -> tuple[int, ...]:
    """`value` once for each of `n` spatial axes, checked to be positive integers."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
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
    if padding == "VALID":
        return ((0, 0),) * n
    if padding == "CIRCULAR" and circular:
        return tuple(((r - 1) // 2, r // 2) for r in reach)
    if padding == "SAME":
        totals = [
            max((-(-s // stride) - 1) * stride + r - s, 0)
            for s, r, stride in zip(spatial, reach, strides, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)
    pairs = (
        () if isinstance(padding, str) else tuple((int(low), int(high)) for low, high in padding)
    )
    if len(pairs) != n or min(min(pair) for pair in pairs) < 0:
        known = "'SAME', 'VALID', 'CIRCULAR'" if circular else "'SAME', 'VALID'"
        raise ValueError(
            f"padding={padding!r}; expected {known}, or {n} (low, high) pairs of non-negative "
            "integers, one a spatial axis"
        )
    return pairs
