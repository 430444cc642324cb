"""Contrasts between the means of arms, judged together: intervals and p-values of one family."""

from collections.abc import Sequence
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

# The largest number of random numbers that are held at the same time.
_MOST_NUMBERS = 4_000_000


class Contrasts(NamedTuple):
    """Estimated contrasts; arrays have an entry per contrast.

    `low` and `high` are simultaneous intervals: with the probability of the level, all of them
    contain their contrasts. `p` is the probability that any contrast of the family looks as extreme
    as this one if all means are equal. Intervals are NaN for a contrast that involves an arm of
    fewer than three values, `p` if it involves one of fewer than five.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


def compare_means(
    arms: Sequence[Values] | np.ndarray,
    weights: np.ndarray,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
) -> Contrasts:
    """Judge weighted sums of the arms' means as one family, spreads not pooled.

    `weights` has a row per contrast and a column per arm; a row sums to 0, such as 1 and -1 for the
    difference of two arms. The statistic of a contrast c is ``sum(c_i mean_i) / sqrt(sum(c_i^2
    s_i^2 / n_i))``. It is close to Student's t with the degrees of freedom of Welch and
    Satterthwaite, and is transformed to be close to a standard normal number, so that contrasts of
    many values are not judged by those of few. The largest absolute value of the family is compared
    with its distribution if all means are equal, simulated with normal means and chi-squared
    variances from a fixed seed, so correlated contrasts are not corrected for twice.

    The variance of an arm is at least ``resolution ** 2 / 12``, as in `could_be_best`.

    Sources: Westfall and Young, "Resampling-Based Multiple Testing" (1993), for the family's
    largest statistic; Wallace, "Bounds on normal approximations to Student's and the chi-square
    distributions" (1959), for the transformation.

    >>> relu, tanh = [0.91, 0.92, 0.90, 0.91, 0.92], [0.90, 0.91, 0.92, 0.93, 0.90]
    >>> sigmoid = [0.65, 0.7, 0.6, 0.6, 0.7]
    >>> found = compare_means([relu, tanh, sigmoid], np.array([[1, -1, 0], [1, 0, -1]]))
    >>> found.difference.round(3).tolist(), (found.p < 0.05).tolist()
    ([0.0, 0.262], [False, True])
    """
    values = [checked(arm) for arm in arms]
    counts = np.array([len(arm) for arm in values])
    means = np.array([arm.mean() for arm in values])
    weights = np.asarray(weights, float)
    difference = weights @ means
    unknown = np.full(len(weights), np.nan)
    known = counts >= FEWEST_VALUES
    few = (weights[:, counts < FEWEST_SEEDS] != 0).any(axis=1)
    judged = ~(weights[:, ~known] != 0).any(axis=1)
    if not judged.any():
        return Contrasts(difference, unknown, unknown, unknown)
    weights = weights[judged][:, known]
    freedom = counts[known] - 1.0
    variances = variances_of_means([values[i] for i in np.flatnonzero(known)], resolution)
    squares = weights**2 * variances + TINY
    errors = np.sqrt(squares.sum(axis=1))
    shared = errors**4 / (squares**2 / freedom).sum(axis=1)
    observed = _to_normal(np.abs(difference[judged]) / errors, shared)
    largest = np.sort(_largest(weights, variances, freedom, shared, level))
    half = _to_student(np.quantile(largest, level), shared) * errors
    found = Contrasts(difference, unknown.copy(), unknown.copy(), unknown.copy())
    beyond = len(largest) - np.searchsorted(largest, observed * (1 - 1e-9))
    found.p[judged] = (1 + beyond) / (len(largest) + 1)
    found.p[few] = np.nan
    found.low[judged] = difference[judged] - half
    found.high[judged] = difference[judged] + half
    return found


def _largest(
    weights: np.ndarray,
    variances: np.ndarray,
    freedom: np.ndarray,
    shared: np.ndarray,
    level: float,
) -> np.ndarray:
    """Draw the largest transformed statistic of the contrasts if all means are equal."""
    rng = np.random.default_rng(0)
    arms = len(variances)
    few = max(min(DRAWS, _MOST_NUMBERS // arms), FEWEST_DRAWS)
    draws = max(few, min(int(DRAWS_BEYOND / (1 - level)), MOST_DRAWS))
    means = rng.standard_normal((draws, arms)) * np.sqrt(variances)
    squares = variances * rng.chisquare(freedom, (draws, arms)) / freedom
    largest = np.zeros(draws)
    at_once = max(_MOST_NUMBERS // draws, 1)
    for first in range(0, len(weights), at_once):
        part = slice(first, first + at_once)
        errors = np.sqrt(squares @ (weights[part] ** 2).T + TINY)
        statistics = np.abs(means @ weights[part].T) / errors
        largest = np.maximum(largest, _to_normal(statistics, shared[part]).max(axis=1))
    return largest


def _to_normal(t: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """A normal number about as improbable as this one of Student's t; both positive."""
    return (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t**2 / freedom))


def _to_student(z: float, freedom: np.ndarray) -> np.ndarray:
    """The inverse of `_to_normal`."""
    scaled = z * (8 * freedom + 3) / (8 * freedom + 1)
    return np.sqrt(freedom * np.expm1(scaled**2 / freedom))
