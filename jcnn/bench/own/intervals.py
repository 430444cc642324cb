"""95% intervals of ratios of times, which assume no distribution."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Ratio(NamedTuple):
    """A ratio of times and its 95% interval; with fewer than 6 rounds, the interval is unbounded.

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
    # The most ratios below the interval, at 2.5% on each side.
    outside = int(stats.binom.ppf(0.025, len(ratios), 0.5)) - 1
    if outside < 0 or stats.binom.cdf(outside, len(ratios), 0.5) > 0.025:
        outside -= 1
    if outside < 0:
        return Ratio(float(np.median(ratios)), 0.0, math.inf)
    return Ratio(float(np.median(ratios)), float(ratios[outside]), float(ratios[-1 - outside]))


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
    outside = math.floor(n * m / 2 - 1.96 * math.sqrt(n * m * (n + m + 1) / 12))
    if outside < 1:
        return Ratio(float(np.median(ratios)), 0.0, math.inf)
    return Ratio(float(np.median(ratios)), float(ratios[outside - 1]), float(ratios[-outside]))
