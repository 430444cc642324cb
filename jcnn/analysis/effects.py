"""The effect of each factor: its levels, averaged over the settings of the other factors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jcnn.analysis.metric import Metric
from jcnn.analysis.ranking import Row
from jcnn.analysis.statistics import Comparison, Interval, compare, mean_interval


@dataclass(frozen=True, eq=False)
class LevelEffect:
    """One level of a factor: its `values` by seed, averaged over the shared settings.

    `comparison` is the best level against this one; None for the best level itself.
    """

    name: str
    values: np.ndarray
    comparison: Comparison | None

    @property
    def mean(self) -> float:
        """The mean over seeds with a finite value."""
        finite = self.values[np.isfinite(self.values)]
        return float(finite.mean()) if len(finite) else math.nan

    @property
    def lost(self) -> bool:
        """Whether seeds diverged, and the metric has no finite value to count them as."""
        return not np.isfinite(self.values).all()

    @cached_property
    def interval(self) -> Interval:
        """The 95% bootstrap interval of the mean."""
        return mean_interval(self.values)


@dataclass(frozen=True, eq=False)
class Effect:
    """The levels of one factor, best first, over the settings that all trained levels share.

    `levels` is empty if no setting is shared. `trained` and `untrained` name the levels with and
    without finished runs, in the study's order.
    """

    factor: str
    levels: tuple[LevelEffect, ...]
    trained: tuple[str, ...]
    untrained: tuple[str, ...]


def effect(
    factor: str, combinations: Sequence[Mapping[str, str]], rows: Sequence[Row], metric: Metric
) -> Effect:
    """Compare the levels of one factor, paired over seeds.

    The best level was found by looking at the same values, so Holm's correction counts all pairs of
    levels.
    """
    names = tuple(dict.fromkeys(levels[factor] for levels in combinations))
    with_runs = {row.levels[factor] for row in rows}
    trained = tuple(name for name in names if name in with_runs)
    untrained = tuple(name for name in names if name not in with_runs)
    values = _values_by_level(factor, trained, rows, metric)
    if not values:
        return Effect(factor, (), trained, untrained)
    means = {name: LevelEffect(name, values[name], None).mean for name in trained}
    best, *others = sorted(
        trained,
        key=lambda name: (metric.badness(values[name].mean()), metric.badness(means[name])),
    )
    comparisons = compare(
        [(metric.sign * values[best], metric.sign * values[name]) for name in others],
        family=len(trained) * (len(trained) - 1) // 2,
    )
    levels = [LevelEffect(best, values[best], None)]
    levels += [
        LevelEffect(name, values[name], comparison)
        for name, comparison in zip(others, comparisons, strict=True)
    ]
    return Effect(factor, tuple(levels), trained, untrained)


def _values_by_level(
    factor: str, names: Sequence[str], rows: Sequence[Row], metric: Metric
) -> dict[str, np.ndarray]:
    """Each level's values by seed, averaged over the settings that all levels share.

    A seed that diverged counts as the worst value. Empty if there is no such setting.
    """
    table: dict[str, dict[tuple[str, ...], Sequence[float]]] = {
        name: {
            tuple(level for other, level in row.levels.items() if other != factor): metric.counted(
                row.values
            )
            for row in rows
            if row.levels[factor] == name and math.isfinite(row.mean)
        }
        for name in names
    }
    if not table:
        return {}
    shared = sorted(set.intersection(*(set(settings) for settings in table.values())))
    if not shared:
        return {}
    return {name: np.mean([table[name][s] for s in shared], axis=0) for name in names}
