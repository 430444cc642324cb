"""Racing: looks at growing numbers of seeds, at each of which combinations can be ruled out."""

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from jcnn.analysis.best import CouldBeBest, bound_after, could_be_best
from jcnn.analysis.spread import LEVEL, Values, checked

# The numbers of seeds at which the combinations that are left are compared.
LOOKS = (5, 8, 12, 18, 27, 40)


def level_at(look: int, level: float = LEVEL) -> float:
    """The level of the look with this number, counted from 1, in a race of a `level`.

    The chances of an error at each look, ``(1 - level) * 6 / (pi * look) ** 2``, add up to at most
    ``1 - level``, however many looks there are.

    >>> [round(1 - level_at(look), 4) for look in (1, 2, 6)]
    [0.0304, 0.0076, 0.0008]
    """
    return 1 - (1 - level) * 6 / (math.pi * look) ** 2


def race(
    arms: Sequence[Values] | np.ndarray,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
) -> CouldBeBest:
    """Return which arms could be the best after all looks that their numbers of values allow.

    Look l compares the first 5, 8, 12, 18, 27 or 40 values of the arms that earlier looks have left
    at `level_at(l, level)`, so that the best arm is ruled out at any of them, or exceeds the leader
    by more than the bound, with a probability of at most ``1 - level`` together. The last look
    takes every value that there is; arms that are ruled out have the p-value of the look that ruled
    them out. With fewer than 5 values nothing is ruled out.

    Raises ValueError as `could_be_best` does.

    >>> relu = [0.981, 0.975, 0.978, 0.983, 0.979, 0.980, 0.982, 0.977]
    >>> tanh = [0.979, 0.977, 0.980, 0.972, 0.981, 0.976, 0.974, 0.979]
    >>> sigmoid = [0.46, 0.52, 0.41, 0.50, 0.47]
    >>> found = race([relu, tanh, sigmoid])
    >>> found.left.tolist(), round(found.bound, 3)
    ([True, True, False], 0.003)
    """
    values = [checked(arm) for arm in arms]
    if not values:
        raise ValueError("there are no arms to compare")
    sizes = looks_of([len(arm) for arm in values])
    left = tuple(range(len(values)))
    p = np.ones(len(values))
    for look, size in enumerate(sizes, start=1):
        seen = values if look == len(sizes) else [arm[:size] for arm in values]
        found = look_at(
            tuple(tuple(arm.tolist()) for arm in seen), left, level_at(look, level), resolution
        )
        p[list(left)] = found.p[list(left)]
        left = tuple(np.flatnonzero(found.left).tolist())
    return found._replace(p=p)


def looks_of(counts: Sequence[int]) -> list[int]:
    """The sizes of the looks that have begun if arms have so many values."""
    most = max(counts)
    return [LOOKS[0], *(size for last, size in itertools.pairwise(LOOKS) if most > last)]


def last_level(arms: Sequence[Values], level: float = LEVEL) -> float:
    """The level of the last look at the arms of a race, for other comparisons of them."""
    return level_at(len(looks_of([len(arm) for arm in arms])), level)


def seeds_after(
    arms: Sequence[Values] | np.ndarray,
    found: CouldBeBest,
    bound: float,
    *,
    resolution: float | None = None,
) -> int | None:
    """Forecast the first look after which the leader's bound is at most `bound`, as seeds.

    `found` is what `race` returns for `arms`. None if no look is expected to reach it.
    """
    counts = [len(checked(arm)) for arm in arms]
    if not math.isfinite(found.bound) or np.count_nonzero(found.left) < 2:
        return None
    for look, size in enumerate(LOOKS, start=1):
        if size > max(counts) and bound >= bound_after(
            arms, found, size, resolution=resolution, level=level_at(look)
        ):
            return size
    return None


@lru_cache(maxsize=512)
def look_at(
    arms: tuple[tuple[float, ...], ...],
    left: tuple[int, ...],
    level: float,
    resolution: float | None,
) -> CouldBeBest:
    """Compare the arms that are left. A study looks again at what it knows many times."""
    return could_be_best(arms, resolution=resolution, level=level, candidates=left)
