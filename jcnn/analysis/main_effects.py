"""Main effects where levels were not tried in every setting: an additive model of the points."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from jcnn.analysis.effects import Effect, LevelEffect
from jcnn.analysis.gains import FAMILY_LEVEL, Arm, Gain
from jcnn.analysis.metric import Metric
from jcnn.analysis.spread import DRAWS, DRAWS_BEYOND, LEVEL, MOST_DRAWS, Interval

# A factor with more numbers than this is compared by thirds of its range.
_MOST_NUMBERS = 6
# Fewer points than this beyond the model's own terms do not show how well it fits.
_FEWEST_REST = 4


def main_effects(arms: Sequence[Arm], factors: Sequence[str], metric: Metric) -> tuple[Effect, ...]:
    """Estimate each factor's effect from points that are not a full factorial design.

    The mean of a point is modelled as ``constant + sum of one term per level``, fitted by least
    squares; what the model does not explain, interactions among it, is its error. All pairs of
    levels of all factors are one family: the largest ``|difference| / error`` is compared with its
    distribution, simulated from a fixed seed. A factor of more than six numbers is compared by
    thirds of its points.

    The mean of a level is that of the model if the other factors are as in the points. Factors have
    no levels if there are too few points, or if the design does not tell two of them apart.
    """
    names = {factor: [arm.levels[factor] for arm in arms] for factor in factors}
    binned = {factor: _thirds(values) for factor, values in names.items()}
    levels = {factor: list(dict.fromkeys(values)) for factor, values in binned.items()}
    y = np.array([np.mean(arm.values) for arm in arms])
    x = _design(binned, levels, len(arms))
    rest = len(arms) - x.shape[1]
    trained = {factor: tuple(dict.fromkeys(values)) for factor, values in binned.items()}
    if rest < _FEWEST_REST or np.linalg.matrix_rank(x) < x.shape[1]:
        return tuple(Effect(factor, (), trained[factor], (), (), True) for factor in factors)
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    variance = float(((y - x @ beta) ** 2).sum() / rest)
    pairs = [
        (factor, first, second)
        for factor in factors
        for first, second in itertools.combinations(levels[factor], 2)
    ]
    contrasts = np.array(
        [
            _term(levels, factor, first) - _term(levels, factor, second)
            for factor, first, second in pairs
        ]
    )
    judged = _judge(contrasts, beta, inverse, variance, rest)
    gains: dict[tuple[str, str, str], Gain] = {}
    for (factor, first, second), (difference, interval, p) in zip(pairs, judged, strict=True):
        gain = Gain(factor, first, second, {}, difference, _within(interval, metric), p)
        gains[factor, first, second] = gain
        gains[factor, second, first] = gain.turned()
    effects = []
    for factor in factors:
        means = {
            name: _mean(x, levels, factor, name, beta, inverse, variance, rest)
            for name in levels[factor]
        }
        order = sorted(means, key=lambda name: -means[name][0])
        effects.append(
            Effect(
                factor,
                tuple(
                    LevelEffect(
                        name,
                        metric.sign * means[name][0],
                        _clipped(means[name], metric),
                        None if name == order[0] else gains[factor, order[0], name],
                    )
                    for name in order
                ),
                trained[factor],
                (),
                (),
                modelled=True,
            )
        )
    return tuple(effects)


def _thirds(values: Sequence[str]) -> list[str]:
    """Numbers as the ends of their third, if there are many of them; other levels as they are."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return list(values)
    if len(set(values)) <= _MOST_NUMBERS:
        return list(values)
    ordered = np.sort(numbers)
    cuts = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    place = np.searchsorted(cuts, numbers, side="right")  # equal numbers stay together
    names = {}
    for third in set(place.tolist()):
        inside = np.flatnonzero(place == third)
        ends = [
            values[inside[np.argmin(numbers[inside])]],
            values[inside[np.argmax(numbers[inside])]],
        ]
        names[third] = " to ".join(dict.fromkeys(ends))
    return [names[third] for third in place.tolist()]


def _design(
    values: Mapping[str, Sequence[str]], levels: Mapping[str, Sequence[str]], count: int
) -> np.ndarray:
    """A column of ones, and one per level of each factor but its first."""
    rows = [np.ones(count)]
    for factor, names in levels.items():
        rows += [np.array([value == name for value in values[factor]], float) for name in names[1:]]
    return np.array(rows).T


def _term(levels: Mapping[str, Sequence[str]], factor: str, name: str) -> np.ndarray:
    """The columns of the design that a level sets."""
    columns = [[0.0]]
    for other, names in levels.items():
        columns.append([float(other == factor and name == each) for each in names[1:]])
    return np.concatenate(columns)


def _judge(
    contrasts: np.ndarray,
    beta: np.ndarray,
    inverse: np.ndarray,
    variance: float,
    rest: int,
) -> list[tuple[float, Interval, float]]:
    """Each contrast with its simultaneous interval and p-value."""
    covariance = contrasts @ inverse @ contrasts.T
    errors = np.sqrt(np.diag(covariance) * variance) + 1e-12
    difference = contrasts @ beta
    draws = max(DRAWS, min(int(DRAWS_BEYOND / (1 - FAMILY_LEVEL)), MOST_DRAWS))
    rng = np.random.default_rng(0)
    root = contrasts @ np.linalg.cholesky(inverse)
    normal = rng.standard_normal((draws, root.shape[1])) @ root.T / np.sqrt(np.diag(covariance))
    scale = np.sqrt(rng.chisquare(rest, draws) / rest)
    largest = np.sort(np.abs(normal).max(axis=1) / scale)
    half = np.quantile(largest, FAMILY_LEVEL) * errors
    beyond = draws - np.searchsorted(largest, np.abs(difference) / errors)
    p = np.minimum((1 + beyond) / (draws + 1), 1.0)
    return [
        (float(d), Interval(float(d - h), float(d + h)), float(value))
        for d, h, value in zip(difference, half, p, strict=True)
    ]


def _mean(
    x: np.ndarray,
    levels: Mapping[str, Sequence[str]],
    factor: str,
    name: str,
    beta: np.ndarray,
    inverse: np.ndarray,
    variance: float,
    rest: int,
) -> tuple[float, float]:
    """The model's mean of a level over the points, and half of its 95% interval."""
    from scipy import special

    other = np.ones(x.shape[1])
    for each in levels[factor][1:]:
        other -= _term(levels, factor, each)
    row = x.mean(axis=0) * other + _term(levels, factor, name)
    half = special.stdtrit(rest, (1 + LEVEL) / 2) * np.sqrt(row @ inverse @ row * variance)
    return float(row @ beta), float(half)


def _within(interval: Interval, metric: Metric) -> Interval:
    span = metric.limits[1] - metric.limits[0]
    return Interval(max(interval.low, -span), min(interval.high, span))


def _clipped(mean: tuple[float, float], metric: Metric) -> Interval:
    low, high = sorted(metric.sign * (mean[0] + side * mean[1]) for side in (-1, 1))
    least, most = metric.limits
    return Interval(max(low, least), min(high, most))
