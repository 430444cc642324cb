"""Values over seeds: what is known of their mean and spread."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# SciPy is imported inside functions: importing it here would double jcnn's import time.
Values = Sequence[float] | np.ndarray
LEVEL = 0.95
# Fewer values than this give no interval: two would give one of 13 standard errors.
FEWEST_VALUES = 3
# Fewer values than this are no evidence of a difference: their spread is known too poorly, and a
# combination of which every second seed fails to train looks as steady as any other.
FEWEST_SEEDS = 5
# The number of draws that simulate a distribution, and the fewest where arms are many.
DRAWS = 10_000
FEWEST_DRAWS = 1_000
# So many draws are expected beyond the critical value, however small a level is, up to a number of
# draws.
DRAWS_BEYOND = 20
MOST_DRAWS = 50_000
# Added to squares, so that arms without any spread can be divided by it.
TINY = 1e-100


class Interval(NamedTuple):
    """A confidence interval; NaN if there are too few values."""

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


class Comparison(NamedTuple):
    """One combination minus another, positive if the first is better, whatever the metric.

    `interval` and `p` are corrected for the other comparisons of the same family; NaN if a
    combination has fewer than three seeds.
    """

    difference: float
    interval: Interval
    p: float

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p <= 1 - LEVEL


def mean_interval(
    values: Values, *, low: float = -math.inf, high: float = math.inf, level: float = LEVEL
) -> Interval:
    """Student's t interval of the mean, clipped to what values can be (`low` to `high`).

    NaN for fewer than three values, or if one is infinite or NaN.

    >>> low, high = mean_interval([0.96, 0.98, 1.0], high=1.0)
    >>> round(low, 2), high
    (0.93, 1.0)
    """
    values = np.asarray(values, float)
    if len(values) < FEWEST_VALUES or not np.isfinite(values).all():
        return UNKNOWN
    from scipy import special

    half = special.stdtrit(len(values) - 1, (1 + level) / 2) * values.std(ddof=1)
    half /= math.sqrt(len(values))
    mean = values.mean()
    return Interval(float(max(mean - half, low)), float(min(mean + half, high)))


def interquartile_mean(values: Values) -> float:
    """The mean of the middle half (a quarter trimmed at each end); NaN without finite values."""
    from scipy import stats

    finite = [v for v in values if math.isfinite(v)]
    return float(stats.trim_mean(finite, 0.25)) if finite else math.nan


def independent_errors(share: float, n: int) -> float:
    """The standard deviation of a share of n independent trials: `sqrt(p (1 - p) / n)`."""
    return math.sqrt(share * (1 - share) / n) if math.isfinite(share) else math.nan


def checked(arm: Values) -> np.ndarray:
    """The values of an arm without the missing ones (NaN).

    Raises ValueError if there is none, or if one is infinite.
    """
    values = np.asarray(arm, float)
    values = values[~np.isnan(values)]
    if not len(values) or np.isinf(values).any():
        raise ValueError("every arm needs at least one value, and no infinite one")
    return values


def variances_of_means(arms: Sequence[np.ndarray], resolution: float | None) -> np.ndarray:
    """``s^2 / n`` of each arm of at least two values.

    Values are multiples of ``resolution``, such as ``1 / test_examples`` of an accuracy, so s^2 is
    at least ``resolution ** 2 / 12``: values that are tied are no evidence. By default, the
    resolution is the smallest difference between values.
    """
    step = _smallest_gap(arms) if resolution is None else resolution
    return np.array([max(arm.var(ddof=1), step**2 / 12) / len(arm) for arm in arms])


def _smallest_gap(arms: Sequence[np.ndarray]) -> float:
    if not arms:
        return 0.0
    distinct = np.unique(np.concatenate(arms))
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-9 * max(abs(distinct[0]), abs(distinct[-1]))]
    return float(gaps.min()) if len(gaps) else 0.0
