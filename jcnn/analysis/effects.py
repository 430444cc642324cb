"""The effect of each factor: its levels, averaged over the settings of the other factors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jcnn.analysis.gains import Arm, Gain, names_of, shared_settings
from jcnn.analysis.metric import Metric
from jcnn.analysis.spread import FEWEST_VALUES, LEVEL, UNKNOWN, Interval


@dataclass(frozen=True, eq=False)
class LevelEffect:
    """One level of a factor, averaged over the settings that all of its levels share.

    `interval` is Student's t interval of the mean. `gain` is that of the best level over this one;
    None for the best level itself. `where` has the gains of the best level over this one per
    setting of all other factors.
    """

    name: str
    mean: float
    interval: Interval
    gain: Gain | None
    where: tuple[Gain, ...] = ()


@dataclass(frozen=True, eq=False)
class Effect:
    """The levels of one factor, best first, over the settings that all trained levels share.

    `levels` is empty if no setting is shared. `trained` and `untrained` name the levels with and
    without finished runs, in the study's order; `lost` names those with seeds that diverged, if the
    metric has no worst value that counts for them. A `modelled` effect is that of an additive model
    of points, and not of settings that all levels share.
    """

    factor: str
    levels: tuple[LevelEffect, ...]
    trained: tuple[str, ...]
    untrained: tuple[str, ...]
    lost: tuple[str, ...]
    modelled: bool = False


def effect(
    factor: str,
    combinations: Sequence[Mapping[str, str]],
    trained: Sequence[Mapping[str, str]],
    arms: Sequence[Arm],
    gains: Sequence[Gain],
    metric: Metric,
) -> Effect:
    """Compare the levels of one factor; `gains` are those of the study's `family` of `arms`."""
    names = list(dict.fromkeys(levels[factor] for levels in combinations))
    finished = {levels[factor] for levels in trained}
    compared = {tuple(arm.levels.items()) for arm in arms}
    lost = {levels[factor] for levels in trained if tuple(levels.items()) not in compared}
    shared = list(shared_settings(arms, factor).values()) if arms else []
    means = {
        name: _mean(arms, [cells[name] for cells in shared], metric)
        for name in (names_of(arms, factor) if shared else ())
    }
    # Stable, so that levels that are equal stay in the study's order.
    order = sorted(means, key=lambda name: metric.badness(means[name][0]))
    mine = [gain for gain in gains if gain.factor == factor]
    full = max((len(gain.given) for gain in mine), default=0)
    levels = []
    for name in order:
        over = [
            gain if gain.better == order[0] else gain.turned()
            for gain in mine
            if {gain.better, gain.worse} == {order[0], name}
        ]
        average = next((gain for gain in over if not gain.given), None)
        where = tuple(gain for gain in over if full and len(gain.given) == full)
        levels.append(LevelEffect(name, *means[name], average, where))
    return Effect(
        factor,
        tuple(levels),
        tuple(name for name in names if name in finished),
        tuple(name for name in names if name not in finished),
        tuple(name for name in names if name in lost),
    )


def cell_means(
    combinations: Sequence[Mapping[str, str]],
    rows: Sequence[tuple[Mapping[str, str], float]],
    factor: str,
    other: str,
) -> dict[tuple[str, str], float]:
    """The mean per pair of levels of two factors, over the settings of `rows` (levels, mean)."""
    cells: dict[tuple[str, str], list[float]] = {}
    for levels, mean in rows:
        if np.isfinite(mean):
            cells.setdefault((levels[factor], levels[other]), []).append(mean)
    names = [dict.fromkeys(levels[each] for levels in combinations) for each in (factor, other)]
    return {
        (first, second): float(np.mean(cells[first, second]))
        for first in names[0]
        for second in names[1]
        if (first, second) in cells
    }


def _mean(arms: Sequence[Arm], cells: Sequence[int], metric: Metric) -> tuple[float, Interval]:
    """The mean over cells of their means, and its interval by Welch and Satterthwaite."""
    from scipy import special

    values = [metric.sign * np.asarray(arms[i].values) for i in cells]
    mean = float(np.mean([each.mean() for each in values]))
    if min(len(each) for each in values) < FEWEST_VALUES:
        return mean, UNKNOWN
    squares = np.array([each.var(ddof=1) / len(each) for each in values]) / len(values) ** 2
    counts = np.array([len(each) for each in values])
    if not squares.any():
        return mean, Interval(mean, mean)
    freedom = squares.sum() ** 2 / (squares**2 / (counts - 1)).sum()
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(squares.sum()))
    low, high = metric.limits
    return mean, Interval(max(mean - half, low), min(mean + half, high))
