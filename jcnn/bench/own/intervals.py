"""95% intervals of ratios of times, which assume no distribution."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Ratio(NamedTuple):
    """A ratio of times and its 95% interval, which has no bounds if there are too few samples.

    `differs` is whether the interval excludes 1.
    """

    ratio: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the times differ."""
        return self.low > 1 or self.high < 1

    def __str__(self) -> str:
        """The ratio and its interval."""
        return f"{self.ratio:.3f} [{self.low:.3f}, {self.high:.3f}]"


def paired_ratio(seconds: Sequence[float], base: Sequence[float]) -> Ratio:
    """Return the median of the ratios of samples that were taken in the same rounds.

    The interval is between two of the sorted ratios, whose ranks follow from the binomial
    distribution.

    >>> paired_ratio([2.0] * 10, [1.0] * 10)
    Ratio(ratio=2.0, low=2.0, high=2.0)
    """
    from scipy import stats

    ratios = np.sort(np.array(seconds) / np.array(base))
    # As many ratios are below the interval as have a probability of at most 2.5%, and above it.
    return _between(ratios, int(stats.binom.ppf(0.025, len(ratios), 0.5)))


def unpaired_ratio(seconds: Sequence[float], base: Sequence[float]) -> Ratio:
    """Return the ratio of samples that were taken at different times.

    It is the median of the ratios of all pairs (Hodges and Lehmann 1963), with the interval that
    belongs to the test of Mann and Whitney. What the machine did differently at those times is not
    in it.

    >>> unpaired_ratio([2.0] * 20, [1.0] * 20)
    Ratio(ratio=2.0, low=2.0, high=2.0)
    """
    ratios = np.sort((np.array(seconds)[:, None] / np.array(base)[None, :]).ravel())
    n, m = len(seconds), len(base)
    return _between(ratios, math.floor(n * m / 2 - 1.96 * math.sqrt(n * m * (n + m + 1) / 12)))


def _between(ratios: np.ndarray, rank: int) -> Ratio:
    """Return the median, and the ratios of this rank from either end; without bounds at rank 0."""
    ends = (ratios[rank - 1], ratios[-rank]) if rank >= 1 else (0.0, math.inf)
    return Ratio(float(np.median(ratios)), *map(float, ends))
