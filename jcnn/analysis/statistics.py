"""Statistics of values over seeds: intervals, paired tests, corrections, seeds needed."""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# SciPy is imported inside functions: importing it here would double jcnn's import time.
Values = Sequence[float] | np.ndarray
LEVEL = 0.95
POWER = 0.8


class Interval(NamedTuple):
    """A `LEVEL` confidence interval; NaN if there are too few values."""

    low: float
    high: float


class Comparison(NamedTuple):
    """One arm minus another, paired over the seeds that both finished.

    `difference` is the mean of the `n` paired differences and `interval` its Student t interval;
    `effect` is that mean divided by their standard deviation (Cohen's d_z). `p` is the two-sided
    p-value of the paired t-test, and `corrected` the same after Holm's correction. `improves` is
    the share of seeds in which the first arm is better, with ties counting half. `level` is the
    significance level per comparison after the correction.
    """

    difference: float
    interval: Interval
    effect: float
    p: float
    corrected: float
    improves: float
    n: int
    level: float = 1 - LEVEL

    @property
    def seeds_needed(self) -> int | None:
        """The number of pairs that would show a difference of this size with 80% power.

        None if it is shown already, or if no number would show it.
        """
        return (
            None if self.real or math.isnan(self.p) else seeds_needed_for(self.effect, self.level)
        )

    @property
    def equal(self) -> bool:
        """Whether the two arms are equal on every seed, of at least two."""
        return self.n > 1 and self.interval == (0.0, 0.0)

    @property
    def real(self) -> bool:
        """Whether the corrected test distinguishes the two arms."""
        return self.corrected < 1 - LEVEL


def mean_interval(values: Values) -> Interval:
    """The BCa bootstrap interval (Efron 1987) of the mean of the finite values; fixed seed."""
    finite = np.asarray([v for v in values if math.isfinite(v)], float)
    if len(finite) < 2:
        return Interval(math.nan, math.nan)
    if np.ptp(finite) == 0:
        return Interval(finite[0], finite[0])
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns if all resamples are equal
        interval = stats.bootstrap(
            (finite,), np.mean, confidence_level=LEVEL, rng=np.random.default_rng(0)
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return Interval(float(finite.min()), float(finite.max()))
    return Interval(low, high)


def interquartile_mean(values: Values) -> float:
    """The mean of the middle half (a quarter trimmed at each end); NaN without finite values."""
    from scipy import stats

    finite = [v for v in values if math.isfinite(v)]
    return float(stats.trim_mean(finite, 0.25)) if finite else math.nan


def independent_errors(share: float, n: int) -> float:
    """The standard deviation of a share of n independent trials: `sqrt(p (1 - p) / n)`."""
    return math.sqrt(share * (1 - share) / n) if math.isfinite(share) else math.nan


def compare(
    pairs: Sequence[tuple[Values, Values]], *, family: int | None = None
) -> list[Comparison]:
    """Compare each first arm with its second; values share one order of seeds, larger is better.

    `family` is the number of comparisons that the correction counts: more than `pairs` if those
    were chosen by looking, as "the best against the rest" is chosen among all pairs. Seeds in which
    either value is not finite are skipped; with fewer than two pairs every figure is NaN.
    """
    results = [_paired(first, second) for first, second in pairs]
    count = max(family or 0, sum(math.isfinite(result.p) for result in results))
    corrected = holm([result.p for result in results], count)
    return [
        result._replace(corrected=p, level=(1 - LEVEL) / count) if math.isfinite(p) else result
        for result, p in zip(results, corrected, strict=True)
    ]


def holm(values: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's step-down p-values, in the order of `values`; NaN stays NaN and is not counted.

    If `family` is larger than the number of values, the missing tests count as p = 1.
    """
    finite = [i for i, p in enumerate(values) if math.isfinite(p)]
    count = max(family or 0, len(finite))
    padded = np.array([*(values[i] for i in finite), *[1.0] * (count - len(finite))])
    # Not statsmodels', which runs the garbage collector at every call. A test compares the two.
    order = np.argsort(padded, kind="stable")
    steps = np.maximum.accumulate(padded[order] * np.arange(count, 0, -1))
    corrected = np.empty(count)
    corrected[order] = np.minimum(steps, 1.0)
    adjusted = list(values)
    for i, p in zip(finite, corrected, strict=False):
        adjusted[i] = float(p)
    return adjusted


def _paired(first: Values, second: Values) -> Comparison:
    both = np.asarray(
        [
            a - b
            for a, b in zip(first, second, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ],
        float,
    )
    n = len(both)
    mean = float(np.mean(both)) if n else math.nan
    improves = float(np.mean((both > 0) + 0.5 * (both == 0))) if n else math.nan
    unknown = Interval(math.nan, math.nan)
    if n < 2:
        return Comparison(mean, unknown, math.nan, math.nan, math.nan, improves, n)
    deviation = float(np.std(both, ddof=1))
    if deviation <= 1e-12 * max(abs(mean), 1e-300):
        # All differences are equal: only a difference of exactly zero is not evidence.
        p = 1.0 if mean == 0 else 0.0
        return Comparison(
            mean, Interval(mean, mean), math.copysign(math.inf, mean) if mean else 0.0, p, p,
            improves, n,
        )  # fmt: skip
    from scipy import stats

    test = stats.ttest_1samp(both, 0.0)
    low, high = test.confidence_interval(LEVEL)
    p = float(test.pvalue)
    interval = Interval(float(low), float(high))
    return Comparison(mean, interval, mean / deviation, p, p, improves, n)


def seeds_needed_for(effect: float, level: float) -> int | None:
    """The number of pairs for `POWER`, or None if the effect is too small to ever show."""
    if not math.isfinite(effect) or abs(effect) < 0.01:
        return None
    # Not statsmodels' search, which stops at NaN for large effects and returns a wrong number.
    enough = 2
    while _power(abs(effect), enough, level) < POWER:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1 and enough > 2:
        middle = (enough + too_few) // 2
        if _power(abs(effect), middle, level) < POWER:
            too_few = middle
        else:
            enough = middle
    return enough


def _power(effect: float, n: int, level: float) -> float:
    """The power of the paired t-test: the upper tail of the noncentral t distribution."""
    from scipy import stats

    tail = float(stats.nct.sf(stats.t.ppf(1 - level / 2, n - 1), n - 1, effect * math.sqrt(n)))
    return tail if math.isfinite(tail) else 1.0
