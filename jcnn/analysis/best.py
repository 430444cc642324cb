"""Which arms could be the best, and how much the leader can be behind: Hsu's comparisons."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jcnn.analysis.statistics import LEVEL, Values

# Fewer values than this rule nothing out: their spread is known too poorly.
FEWEST_SEEDS = 5
_DRAWS = 20_000
# The largest number of random numbers that are held at the same time.
_MOST_NUMBERS = 4_000_000


class CouldBeBest(NamedTuple):
    """Every arm against the best of the others; arrays have an entry per arm.

    `p` is the probability of values like these, or more extreme ones, if no other arm were better.
    `left` says which arms are not ruled out. `leader` is the arm with the largest mean, and `bound`
    the most by which any arm left can exceed it; NaN if an arm left has fewer than two values.
    `behind` is the leader's mean minus each mean.
    """

    p: np.ndarray
    left: np.ndarray
    leader: int
    bound: float
    behind: np.ndarray


def could_be_best(
    arms: Sequence[Values] | np.ndarray,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
) -> CouldBeBest:
    """Return which arms could be the best, by their values over seeds; larger values are better.

    Arms may differ in spread and in their number of values; NaN stands for a missing value. The
    statistic of arm i is ``max_j (mean_j - mean_i) / sqrt(s_j^2 / n_j + s_i^2 / n_i)``. Its
    distribution if all means are equal is simulated with normal means and chi-squared variances,
    from a fixed seed, so equal values give an equal answer. Arm i is ruled out if p is at most
    ``(1 - level) / 2`` and it has at least 5 values. The best arm is ruled out, or exceeds the
    leader by more than the bound, with a probability of at most ``1 - level`` together.

    Values are multiples of ``resolution``, such as ``1 / test_examples`` of an accuracy. A variance
    is at least ``resolution ** 2 / 12``, so that ties are no evidence. By default, the resolution
    is the smallest difference between values.

    Raises ValueError if there is no arm, an arm has no value, or a value is infinite.

    Source: Hsu, "Constrained simultaneous confidence intervals for multiple comparisons with the
    best" (1984), here with spreads that are not pooled.

    >>> relu = [0.981, 0.975, 0.978, 0.983, 0.979]
    >>> tanh = [0.979, 0.977, 0.980, 0.972, 0.981]
    >>> sigmoid = [0.46, 0.52, 0.41, 0.50, 0.47]
    >>> answer = could_be_best([relu, tanh, sigmoid])
    >>> answer.left.tolist(), answer.leader, round(answer.bound, 3)
    ([True, True, False], 0, 0.005)
    """
    values = [_checked(arm) for arm in arms]
    if not values:
        raise ValueError("there are no arms to compare")
    alpha = (1 - level) / 2
    counts = np.array([len(arm) for arm in values])
    means = np.array([arm.mean() for arm in values])
    step = _smallest_gap(values) if resolution is None else resolution
    known = np.flatnonzero(counts >= 2)
    variances = np.array([max(values[i].var(ddof=1), step**2 / 12) for i in known]) / counts[known]
    p, critical = np.ones(len(values)), np.full(len(values), math.nan)
    for place, statistics in enumerate(_null(variances, counts[known] - 1.0)):
        i = known[place]
        others = np.arange(len(known)) != place
        gaps = means[known][others] - means[i]
        observed = (gaps / np.sqrt(variances[others] + variances[place] + 1e-300)).max()
        p[i] = (1 + np.count_nonzero(statistics >= observed)) / (len(statistics) + 1)
        critical[i] = np.quantile(statistics, 1 - alpha)
    left = (p > alpha) | (counts < FEWEST_SEEDS)
    leader = int(np.argmax(means))
    everywhere = np.full(len(values), math.nan)
    everywhere[known] = variances
    errors = np.sqrt(everywhere + everywhere[leader])
    exceeds = means - means[leader] + critical * errors
    candidates = [i for i in np.flatnonzero(left) if i != leader]
    bound = float(np.max(exceeds[candidates], initial=0.0)) if candidates else 0.0
    return CouldBeBest(p, left, leader, bound, means[leader] - means)


def _null(variances: np.ndarray, freedom: np.ndarray) -> list[np.ndarray]:
    """Draw the statistic of each arm if all means are equal; `variances` are those of means."""
    arms = len(variances)
    if arms < 2:
        return []
    draws = max(min(_DRAWS, _MOST_NUMBERS // arms), 1000)
    rng = np.random.default_rng(0)
    means = rng.standard_normal((draws, arms)) * np.sqrt(variances)
    squares = variances * rng.chisquare(freedom, (draws, arms)) / freedom
    statistics = []
    for i in range(arms):
        others = np.arange(arms) != i
        errors = np.sqrt(squares[:, others] + squares[:, [i]] + 1e-300)
        statistics.append(((means[:, others] - means[:, [i]]) / errors).max(axis=1))
    return statistics


def _checked(arm: Values) -> np.ndarray:
    values = np.asarray(arm, float)
    values = values[~np.isnan(values)]
    if not len(values) or np.isinf(values).any():
        raise ValueError("every arm needs at least one value, and no infinite one")
    return values


def _smallest_gap(values: Sequence[np.ndarray]) -> float:
    distinct = np.unique(np.concatenate(values))
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 1e-9 * max(abs(distinct[0]), abs(distinct[-1]))]
    return float(gaps.min()) if len(gaps) else 0.0
