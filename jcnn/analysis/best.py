"""Which arms could be the best, and how much the leader can be behind: Hsu's comparisons."""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jcnn.analysis.spread import (
    DRAWS,
    DRAWS_BEYOND,
    FEWEST_DRAWS,
    FEWEST_SEEDS,
    FEWEST_VALUES,
    LEVEL,
    MOST_DRAWS,
    TINY,
    Values,
    checked,
    variances_of_means,
)

# The largest number of seeds that a forecast names.
MOST_SEEDS = 1000
# Fewer draws are made where all pairs of arms have more statistics than this.
_MOST_STATISTICS = 6_000_000


class CouldBeBest(NamedTuple):
    """Every arm against the best of the others; arrays have an entry per arm.

    `p` is the probability of values like these, or more extreme ones, if no other arm were better.
    `left` says which arms are not ruled out. `leader` is the arm with the largest mean. `exceeds`
    is the most by which an arm that is left can exceed the leader; 0 for arms that are ruled out,
    NaN for those with fewer than three values. `bound` is the largest of them: what choosing the
    leader can cost.
    """

    p: np.ndarray
    left: np.ndarray
    leader: int
    exceeds: np.ndarray
    bound: float


def could_be_best(
    arms: Sequence[Values] | np.ndarray,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
    candidates: Collection[int] | None = None,
) -> CouldBeBest:
    """Return which arms could be the best, by their values over seeds; larger values are better.

    Arms may differ in spread and in their number of values; NaN stands for a missing value. The
    statistic of arm i is ``max_j (mean_j - mean_i) / sqrt(s_j^2 / n_j + s_i^2 / n_i)``. Its
    distribution if all means are equal is simulated with normal means and chi-squared variances,
    from a fixed seed, so equal values give an equal answer. Arm i is ruled out if p is at most
    ``(1 - level) / 2`` and it has at least 5 values. The best arm is ruled out, or exceeds the
    leader by more than the bound, with a probability of at most ``1 - level`` together.

    A variance is at least ``resolution ** 2 / 12``, so that ties are no evidence. Values are
    multiples of the resolution, such as ``1 / test_examples`` of an accuracy. By default, it is the
    smallest difference between values.

    `candidates` are the arms that earlier looks at the same study have left (default: all); only
    they can lead, be ruled out or be `left`. The others count in the null distribution as if they
    had gone on to as many values, because candidates that are left were selected for being large.

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
    values = [checked(arm) for arm in arms]
    if not values:
        raise ValueError("there are no arms to compare")
    alpha = (1 - level) / 2
    every = range(len(values))
    racing = np.isin(every, [*(every if candidates is None else candidates)])
    counts = np.array([len(arm) for arm in values])
    means = np.array([arm.mean() for arm in values])
    leader = int(np.argmax(np.where(racing, means, -np.inf)))
    known = np.flatnonzero(counts >= FEWEST_VALUES)
    variances = np.full(len(values), np.nan)
    variances[known] = variances_of_means([values[i] for i in known], resolution)
    most = counts[racing].max()
    variances = np.where(racing, variances, variances * counts / most)
    freedom = np.where(racing, counts, most) - 1.0
    p, critical = np.ones(len(values)), np.full(len(values), np.nan)
    compared = known[racing[known]]
    compared = compared if len(compared) > 1 else compared[:0]
    null = _null(variances[known], freedom[known], np.isin(known, compared), alpha)
    for i, statistics in zip(compared, null, strict=True):
        others = compared[compared != i]
        errors = np.sqrt(variances[others] + variances[i] + TINY)
        observed = ((means[others] - means[i]) / errors).max()
        p[i] = (1 + np.count_nonzero(statistics >= observed)) / (len(statistics) + 1)
        critical[i] = np.quantile(statistics, 1 - alpha)
    left = racing & ((p > alpha) | (counts < FEWEST_SEEDS))
    exceeds = means - means[leader] + critical * np.sqrt(variances + variances[leader])
    exceeds = np.where(left, np.maximum(exceeds, 0.0), 0.0)
    exceeds[leader] = 0.0
    return CouldBeBest(p, left, leader, exceeds, float(exceeds.max()))


def seeds_for(
    arms: Sequence[Values] | np.ndarray,
    bound: float,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
) -> int | None:
    """Forecast the seeds per arm that is left after which the leader's bound is at most `bound`.

    The least n for which ``critical * sqrt(s_b^2 / n + s_l^2 / n)`` is at most `bound` for every
    arm b left and the leader l, with today's spreads. Today's lead is not counted on, because part
    of it is chance. None if `could_be_best` gives no bound, or if more than 1,000 would be needed.

    >>> relu = [0.981, 0.975, 0.978, 0.983, 0.979]
    >>> tanh = [0.979, 0.977, 0.980, 0.972, 0.981]
    >>> seeds_for([relu, tanh], 0.005), seeds_for([relu, tanh], 0.001)
    (5, 88)
    """
    answer = could_be_best(arms, resolution=resolution, level=level)
    if not math.isfinite(answer.bound) or bound <= 0:
        return None
    if np.count_nonzero(answer.left) < 2:
        return len(checked(arms[answer.leader]))

    def reached(n: int) -> float:
        return bound_after(arms, answer, n, resolution=resolution, level=level)

    low, high = FEWEST_SEEDS, MOST_SEEDS
    if reached(high) > bound:
        return None
    while low < high:
        middle = (low + high) // 2
        if reached(middle) <= bound:
            high = middle
        else:
            low = middle + 1
    return low


def bound_after(
    arms: Sequence[Values] | np.ndarray,
    answer: CouldBeBest,
    n: int,
    *,
    resolution: float | None,
    level: float,
) -> float:
    """Forecast the leader's bound after `n` values of each arm that `answer` has left.

    Arms have their present spreads, and the leader has no lead.
    """
    values = [checked(arm) for arm in arms]
    known = np.array([i for i, arm in enumerate(values) if len(arm) >= FEWEST_VALUES])
    chosen = [values[i] for i in known]
    spreads = variances_of_means(chosen, resolution) * [len(arm) for arm in chosen]
    left = answer.left[known]
    null = _null(spreads / n, np.full(len(known), n - 1.0), left, (1 - level) / 2)
    leader = spreads[known == answer.leader]
    return max(
        float(np.quantile(statistics, (1 + level) / 2) * np.sqrt((spread + leader) / n)[0])
        for i, spread, statistics in zip(known[left], spreads[left], null, strict=True)
        if i != answer.leader
    )


def _null(
    variances: np.ndarray, freedom: np.ndarray, chosen: np.ndarray, alpha: float
) -> Iterator[np.ndarray]:
    """Draw the statistic of each arm that is chosen if all means are equal.

    `variances` are those of means. Fewer draws are made for many arms, more for a small `alpha`.
    """
    arms = len(variances)
    if arms < 2:
        return
    draws = max(
        min(DRAWS, _MOST_STATISTICS // arms**2),
        FEWEST_DRAWS,
        min(int(DRAWS_BEYOND / alpha), MOST_DRAWS),
    )
    rng = np.random.default_rng(0)
    means = (rng.standard_normal((draws, arms)) * np.sqrt(variances)).T.copy()
    squares = (variances * rng.chisquare(freedom, (draws, arms)) / freedom).T.copy()
    largest = np.full((arms, draws), -np.inf)
    for i in range(arms):
        # Each pair is drawn once: the statistic of the other arm has the opposite sign.
        others = np.arange(i + 1, arms)[chosen[i] | chosen[i + 1 :]]
        for j in others:
            statistic = (means[j] - means[i]) / np.sqrt(squares[j] + squares[i] + TINY)
            np.maximum(largest[i], statistic, out=largest[i])
            np.maximum(largest[j], -statistic, out=largest[j])
    yield from largest[chosen]
