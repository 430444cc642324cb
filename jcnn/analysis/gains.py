"""The gains of levels over each other: every contrast that a report may state, as one family."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jcnn.analysis.contrasts import compare_means
from jcnn.analysis.spread import LEVEL, Comparison, Interval

Levels = Mapping[str, str]
# Half of the chance of a false sentence in a report is spent here, and half on what is ruled out.
FAMILY_LEVEL = (1 + LEVEL) / 2
# In larger studies, levels are not compared per setting of all other factors.
_MOST_CONTRASTS = 4000


class Gain(NamedTuple):
    """How much `better` gains over `worse`, two levels of `factor`, where `given` holds.

    `given` maps other factors to levels; it is empty for the gain over all settings that the levels
    of the factor share. The difference is positive if `better` is better, whatever the metric.
    `interval` and `p` are corrected for all gains and interactions of the study together.
    """

    factor: str
    better: str
    worse: str
    given: Levels
    difference: float
    interval: Interval
    p: float

    @property
    def real(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p <= 1 - FAMILY_LEVEL

    @property
    def most(self) -> float:
        """The largest size of the difference, in either direction, that the interval allows."""
        return max(abs(self.interval.low), abs(self.interval.high))

    def turned(self) -> "Gain":
        """The same gain with the two levels exchanged."""
        low, high = self.interval
        return self._replace(
            better=self.worse,
            worse=self.better,
            difference=-self.difference,
            interval=Interval(-high, -low),
        )


class Interaction(NamedTuple):
    """How much more `better` gains over `worse` with one level of `other` than with a second.

    `better` and `worse` are levels of `factor`. `gains` compare them with the levels `levels[0]`
    and `levels[1]` of `other`, averaged over the settings of the remaining factors that all four
    cells share. `difference` is the first gain minus the second.
    """

    factor: str
    better: str
    worse: str
    other: str
    levels: tuple[str, str]
    gains: tuple[Gain, Gain]
    difference: float
    interval: Interval
    p: float

    @property
    def real(self) -> bool:
        """Whether the two gains differ by more than chance."""
        return self.p <= 1 - FAMILY_LEVEL


class Arm(NamedTuple):
    """A combination's levels and its values over seeds, larger being better."""

    levels: Levels
    values: Sequence[float]


class Family(NamedTuple):
    """All gains and interactions of a study."""

    gains: tuple[Gain, ...]
    interactions: tuple[Interaction, ...]


def family(
    arms: Sequence[Arm],
    *,
    resolution: float | None = None,
    span: float = math.inf,
) -> Family:
    """Compare all pairs of levels of each factor: overall, and given levels of other factors.

    Gains are averaged over the settings of the other factors that all levels of the factor share;
    given one level of one other factor, over those of them that have it; and per setting.
    Intervals are clipped to `span`, the largest difference that there is.
    """
    if not arms:
        return Family((), ())
    factors = [name for name in arms[0].levels if len({arm.levels[name] for arm in arms}) > 1]
    planned = [gain for factor in factors for gain in _plan_gains(arms, factor, factors)]
    if len(planned) > _MOST_CONTRASTS:
        planned = [gain for gain in planned if len(gain.given) < 2]
    crossed = [
        cross
        for factor, other in itertools.combinations(factors, 2)
        for cross in _plan_interactions(arms, factor, other)
    ]
    if not planned:
        return Family((), ())
    every = [
        *(gain.weights for gain in planned),
        *(gain.weights for cross in crossed for gain in cross.gains),
        *(cross.weights for cross in crossed),
    ]
    distinct = {weights.tobytes(): weights for weights in every}
    found = compare_means(
        [arm.values for arm in arms],
        np.array([*distinct.values()]),
        resolution=resolution,
        level=FAMILY_LEVEL,
    )
    judged = {
        key: Comparison(float(difference), Interval(max(low, -span), min(high, span)), float(p))
        for key, difference, low, high, p in zip(
            distinct, *(numbers.tolist() for numbers in found), strict=True
        )
    }
    interactions = [_oriented(cross, judged) for cross in crossed]
    interactions.sort(key=lambda interaction: -abs(interaction.difference))
    return Family(tuple(_gain(plan, judged) for plan in planned), tuple(interactions))


class _Plan(NamedTuple):
    """A gain before it is judged: the weights of the arms."""

    factor: str
    better: str
    worse: str
    given: Levels
    weights: np.ndarray


class _Cross(NamedTuple):
    """An interaction before it is judged."""

    other: str
    levels: tuple[str, str]
    gains: tuple[_Plan, _Plan]

    @property
    def weights(self) -> np.ndarray:
        return self.gains[0].weights - self.gains[1].weights


def names_of(arms: Sequence[Arm], factor: str) -> list[str]:
    """The levels of a factor, in the order of the arms."""
    return list(dict.fromkeys(arm.levels[factor] for arm in arms))


def shared_settings(arms: Sequence[Arm], factor: str) -> dict[tuple[str, ...], dict[str, int]]:
    """The settings of the other factors that every level has: per setting, the arm per level."""
    table: dict[tuple[str, ...], dict[str, int]] = {}
    for i, arm in enumerate(arms):
        setting = tuple(level for name, level in arm.levels.items() if name != factor)
        table.setdefault(setting, {})[arm.levels[factor]] = i
    names = names_of(arms, factor)
    return {setting: cells for setting, cells in table.items() if len(cells) == len(names)}


def _plan_gains(arms: Sequence[Arm], factor: str, factors: Sequence[str]) -> list[_Plan]:
    shared = list(shared_settings(arms, factor).values())
    varied = [name for name in factors if name != factor]
    plans = []
    for better, worse in itertools.combinations(names_of(arms, factor), 2):
        pairs = [(cells[better], cells[worse]) for cells in shared]
        given: dict[tuple[tuple[str, str], ...], list[tuple[int, int]]] = {(): pairs}
        for pair in pairs:
            levels = arms[pair[0]].levels
            full = tuple((name, levels[name]) for name in varied)
            # Not a set: its order, and that of the results, would differ between processes.
            for condition in filter(None, dict.fromkeys([*((item,) for item in full), full])):
                given.setdefault(condition, []).append(pair)
        plans += [
            _Plan(factor, better, worse, dict(condition), _weights(len(arms), chosen))
            for condition, chosen in given.items()
            if chosen
        ]
    return plans


def _plan_interactions(arms: Sequence[Arm], factor: str, other: str) -> list[_Cross]:
    plans = []
    place = {tuple(arm.levels.values()): i for i, arm in enumerate(arms)}
    for pair in itertools.combinations(names_of(arms, factor), 2):
        for levels in itertools.combinations(names_of(arms, other), 2):
            cells: list[list[tuple[int, int]]] = [[], []]
            for arm in arms:
                if (arm.levels[factor], arm.levels[other]) != (pair[0], levels[0]):
                    continue
                four = [
                    [place.get(tuple({**arm.levels, factor: a, other: b}.values())) for a in pair]
                    for b in levels
                ]
                if all(i is not None for two in four for i in two):
                    for two, column in zip(four, cells, strict=True):
                        column.append((two[0] or 0, two[1] or 0))
            if cells[0]:
                first, second = (
                    _Plan(factor, *pair, {other: level}, _weights(len(arms), column))
                    for level, column in zip(levels, cells, strict=True)
                )
                plans.append(_Cross(other, levels, (first, second)))
    return plans


def _weights(count: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    weights = np.zeros(count)
    for better, worse in pairs:
        weights[better] += 1 / len(pairs)
        weights[worse] -= 1 / len(pairs)
    return weights


def _gain(plan: _Plan, judged: Mapping[bytes, Comparison]) -> Gain:
    """The gain of a plan, positive if it is known."""
    gain = Gain(*plan[:4], *judged[plan.weights.tobytes()])
    return gain.turned() if gain.difference < 0 else gain


def _oriented(cross: _Cross, judged: Mapping[bytes, Comparison]) -> Interaction:
    """The interaction with the larger of the two gains first."""
    difference, interval, p = judged[cross.weights.tobytes()]
    first, second = (_gain(plan, judged) for plan in cross.gains)
    levels = cross.levels
    if second.difference > first.difference:
        first, second, levels = second, first, levels[::-1]
    if second.better != first.better:
        second = second.turned()
    apart = first.difference - second.difference
    low, high = sorted(end if difference >= 0 else -end for end in interval)
    return Interaction(
        first.factor, first.better, first.worse, cross.other, levels, (first, second),
        apart, Interval(low, high), p,
    )  # fmt: skip
