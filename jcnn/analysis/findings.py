"""The findings of a study: everything that its finished runs say in numbers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jcnn.analysis.baseline import match_baseline
from jcnn.analysis.best import CouldBeBest, could_be_best, seeds_for
from jcnn.analysis.effects import Effect, effect
from jcnn.analysis.gains import Arm, Family, Interaction, family
from jcnn.analysis.main_effects import main_effects
from jcnn.analysis.metric import Metric
from jcnn.analysis.pareto import FrontRow, front_rows
from jcnn.analysis.planned import planned_comparisons
from jcnn.analysis.racing import LOOKS, last_level, race, seeds_after
from jcnn.analysis.ranking import Row, rank
from jcnn.analysis.records import RunRecord
from jcnn.analysis.spread import LEVEL, UNKNOWN, Comparison, independent_errors


class Forecast(NamedTuple):
    """So many `seeds` per combination left, `trainings` more in all, would reach the `bound`."""

    bound: float
    seeds: int
    trainings: int


@dataclass(frozen=True, eq=False)
class Findings:
    """What finished runs say by one metric, in numbers. `Answer` says it in sentences, too.

    If the study `raced`, seeds were given to the combinations that earlier looks had left
    (`jcnn.analysis.race`) by the task's metric, whether or not this metric is that one.

    Each part is computed when it is first read, and then kept.

    >>> from jcnn.analysis.metric import at_end
    >>> from jcnn.engine import Outcome
    >>> values = {"max": (0.97, 0.98, 0.96, 0.97, 0.98), "avg": (0.91, 0.92, 0.90, 0.92, 0.91)}
    >>> records = [
    ...     RunRecord(i, 0.1, seed, Outcome({"validation_accuracy": [v]}, {"accuracy": v}))
    ...     for i, each in enumerate(values.values())
    ...     for seed, v in enumerate(each)
    ... ]
    >>> levels = [{"pooling": name} for name in values]
    >>> found = Findings(levels, records, {}, at_end("accuracy", True))
    >>> [(row.levels["pooling"], round(row.mean, 3)) for row in found.rows]
    [('max', 0.972), ('avg', 0.912)]
    >>> found.ruled_out, found.bound
    (frozenset({1}), 0.0)
    """

    combinations: Sequence[Mapping[str, str]]
    records: Sequence[RunRecord]
    failures: Mapping[int, str]
    metric: Metric
    test_examples: int = 0
    raced: bool = False
    by_task_metric: bool = True
    stopped_rates: Sequence[tuple[int, float]] = ()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The ranking, best first; in a race, those that are ruled out come last.

        A combination that is ruled out has fewer seeds, so its mean may be the largest by chance.
        """
        if not self.raced:
            return self._by_mean
        return tuple(
            sorted(
                self._by_mean,
                key=lambda row: (not row.comparable, row.combination in self.ruled_out),
            )
        )

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The factors that have more than one level."""
        return tuple(
            factor
            for factor in (self.combinations[0] if self.combinations else {})
            if len({levels[factor] for levels in self.combinations}) > 1
        )

    @cached_property
    def best(self) -> CouldBeBest | None:
        """Which combinations may be the best, with an entry per comparable row, by mean.

        Rows are not comparable if seeds diverged and the metric has no worst value that counts for
        them, as a loss. None if there are fewer than two, or if the metric is not tested.
        """
        arms = self._arms
        if len(arms) < 2 or not self.metric.tested:
            return None
        compare = race if self.raced else could_be_best
        return compare([arm.values for arm in arms], resolution=self.resolution)

    @cached_property
    def ruled_out(self) -> frozenset[int]:
        """The combinations that are worse than another one by more than chance."""
        if self.best is None:
            return frozenset()
        pairs = zip(self._comparable, self.best.left, strict=True)
        return frozenset(row.combination for row, left in pairs if not left)

    @cached_property
    def bound(self) -> float:
        """The most by which another combination can exceed the first; NaN if that is unknown."""
        if self.best is None or not self.rows[0].comparable:
            return math.nan
        return min(self.best.bound, self._room)

    def may_exceed(self, row: Row) -> float:
        """The most by which a combination can exceed the first; NaN if that is unknown."""
        if self.best is None or not (row.comparable and self.rows[0].comparable):
            return math.nan
        return min(float(self.best.exceeds[self._comparable.index(row)]), self._room)

    def p_best(self, row: Row) -> float:
        """The p-value of "no other combination is better than this one"; NaN if not compared."""
        if self.best is None or not row.comparable:
            return math.nan
        return float(self.best.p[self._comparable.index(row)])

    def forecast(self, bound: float) -> Forecast | None:
        """Forecast the trainings after which choosing the first would cost at most `bound`.

        None if that cannot be said, or if more than 1,000 seeds would be needed.
        """
        if self.best is None or not self.rows[0].comparable:
            return None
        values = [arm.values for arm in self._arms]
        if self.raced:
            seeds = seeds_after(values, self.best, bound, resolution=self.resolution)
        else:
            seeds = seeds_for(values, bound, resolution=self.resolution)
        if seeds is None:
            return None
        left = [len(arm) for arm, kept in zip(values, self.best.left, strict=True) if kept]
        return Forecast(bound, seeds, sum(max(seeds - count, 0) for count in left))

    def compare_with(self, baseline: Mapping[str, str]) -> list[Comparison]:
        """Each combination (the baseline too) against `baseline`, in the order of the ranking.

        The comparisons are one family. Raises UsageError if `baseline` does not name exactly one
        combination.
        """
        index = match_baseline(self.combinations, baseline)
        rows = self._comparable if self.metric.tested else []
        weights = np.eye(len(rows))
        weights[:, [row.combination == index for row in rows]] -= 1.0
        others = [i for i, row in enumerate(rows) if row.combination != index]
        known: dict[int, Comparison] = {}
        if others and len(others) < len(rows):
            found = planned_comparisons(
                [arm.values for arm in self._arms],
                weights[others],
                resolution=self.resolution,
                raced=self.raced,
            )
            known = {
                rows[i].combination: comparison for i, comparison in zip(others, found, strict=True)
            }
        place = next((row for row in self.rows if row.combination == index), None)
        return [
            known[row.combination] if row.combination in known
            else Comparison(_gap(row, place, self.metric), UNKNOWN, math.nan)
            for row in self.rows
        ]  # fmt: skip

    def front(self, costs: Sequence[float]) -> list[FrontRow]:
        """The Pareto front of the metric and of `costs`, one per combination; the cheapest first.

        Combinations without a value to compare, or of unknown cost, are left out.
        """
        if not self.metric.tested:
            return []
        values = [arm.values for arm in self._arms]
        level = last_level(values) if self.raced and values else LEVEL
        return front_rows(self._comparable, values, costs, resolution=self.resolution, level=level)

    @cached_property
    def family(self) -> Family:
        """All gains of levels over each other, and interactions, judged together.

        In a race, by the seeds of its first look, which every combination has: later seeds went to
        those that were good at earlier looks.
        """
        if self.sampled:
            effects = self.effects
            gains = [level.gain for each in effects for level in each.levels if level.gain]
            return Family(tuple(gains), ())
        low, high = self.metric.limits
        arms = self._first_arms if self.metric.tested else ()
        return family(arms, resolution=self.resolution, span=high - low)

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """The effect of each factor that has more than one level."""
        if self.sampled:
            return main_effects(self._first_arms, self.factors, self.metric)
        trained = [row.levels for row in self.rows]
        return tuple(
            effect(
                factor,
                self.combinations,
                trained,
                self._first_arms,
                self.family.gains,
                self.metric,
            )
            for factor in self.factors
        )

    @cached_property
    def possible(self) -> int:
        """The number of combinations of all levels, of which a study of points has a part."""
        counts = [
            len({levels[factor] for levels in self.combinations})
            for factor in (self.combinations[0] if self.combinations else {})
        ]
        return math.prod(counts)

    @property
    def sampled(self) -> bool:
        """Whether some combinations of the levels are not in the study."""
        return self.possible > len(self.combinations)

    @cached_property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions that are more than chance, the largest first."""
        return tuple(each for each in self.family.interactions if each.real)

    def noise_floor(self, row: Row) -> float:
        """The spread of an accuracy that independent errors on the test examples alone cause.

        `sqrt(p (1 - p) / n)` for accuracy p over n examples; NaN for other metrics. If seeds spread
        no more than this, a gap well below it is due to these examples, however many seeds there
        are.
        """
        if self.metric.name != "accuracy" or not self.test_examples:
            return math.nan
        return independent_errors(row.mean, self.test_examples)

    @property
    def resolution(self) -> float | None:
        """The step between possible values, if it is known."""
        known = self.metric.name == "accuracy" and self.test_examples
        return 1 / self.test_examples if known else None

    @cached_property
    def _by_mean(self) -> tuple[Row, ...]:
        return rank(self.combinations, self.records, self.failures, self.metric, self.stopped_rates)

    @cached_property
    def _comparable(self) -> list[Row]:
        return [row for row in self._by_mean if row.comparable]

    @cached_property
    def _arms(self) -> list[Arm]:
        return [
            Arm(row.levels, [self.metric.sign * value for value in row.counted])
            for row in self._comparable
        ]

    @cached_property
    def _first_arms(self) -> list[Arm]:
        """The arms with the values that no look at them has selected."""
        if not self.raced:
            return self._arms
        return [arm._replace(values=arm.values[: LOOKS[0]]) for arm in self._arms]

    @property
    def _room(self) -> float:
        """How much better than the first combination the metric can be."""
        low, high = self.metric.limits
        mean = float(np.mean(self.rows[0].counted))
        return high - mean if self.metric.higher_is_better else mean - low


def _gap(row: Row, other: Row | None, metric: Metric) -> float:
    return math.nan if other is None else metric.sign * (row.mean - other.mean) + 0.0
