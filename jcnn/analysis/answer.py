"""The answer of a study: everything that its finished runs say, each part computed once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jcnn.analysis import text
from jcnn.analysis.baseline import match_baseline
from jcnn.analysis.effects import Effect, effect
from jcnn.analysis.interactions import Interaction, interactions
from jcnn.analysis.metric import Metric
from jcnn.analysis.ranking import Row, rank
from jcnn.analysis.records import RunRecord
from jcnn.analysis.statistics import Comparison, compare, independent_errors


@dataclass(frozen=True, eq=False)
class Answer:
    """What finished runs say by one metric; tables, text, report and JSON all read this object.

    Each part is computed when it is first read, and then kept.

    >>> from jcnn.analysis.metric import at_end
    >>> from jcnn.engine import Outcome
    >>> outcomes = [Outcome({"validation_accuracy": [v]}, {"accuracy": v}) for v in (0.8, 0.9)]
    >>> records = [RunRecord(i, 0.1, 0, outcome) for i, outcome in enumerate(outcomes)]
    >>> levels = [{"pooling": "max"}, {"pooling": "avg"}]
    >>> answer = Answer(levels, records, {}, at_end("accuracy", True))
    >>> [(row.levels["pooling"], row.mean) for row in answer.rows]
    [('avg', 0.9), ('max', 0.8)]
    >>> answer.verdict
    'avg came first, but one seed cannot tell it from the rest: give at least two (--seeds)'
    """

    combinations: Sequence[Mapping[str, str]]
    records: Sequence[RunRecord]
    failures: Mapping[int, str]
    metric: Metric
    test_examples: int = 0

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The ranking, best first."""
        return rank(self.combinations, self.records, self.failures, self.metric)

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The factors that have more than one level."""
        return tuple(
            factor
            for factor in (self.combinations[0] if self.combinations else {})
            if len({levels[factor] for levels in self.combinations}) > 1
        )

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The best combination against each other one, in the order of the ranking.

        Differences are paired over seeds and positive if the best is better. The best was found by
        looking at the same values, so Holm's correction counts all pairs of combinations.
        """
        values = self._values
        pairs = [(values[0], other) for other in values[1:]]
        return tuple(compare(pairs, family=len(values) * (len(values) - 1) // 2))

    def compare_with(self, baseline: Mapping[str, str]) -> list[Comparison]:
        """Each combination (the baseline too) against `baseline`, in the order of the ranking.

        Raises UsageError if `baseline` does not name exactly one combination.
        """
        index = match_baseline(self.combinations, baseline)
        values = self._values
        place = [row.combination for row in self.rows].index(index)
        others = [(mine, values[place]) for i, mine in enumerate(values) if i != place]
        comparisons = compare(others, family=len(values) - 1)
        comparisons.insert(place, compare([(values[place], values[place])])[0])
        return comparisons

    @cached_property
    def worse_than_best(self) -> frozenset[int]:
        """The combinations that the corrected tests distinguish from the best one."""
        if not self.metric.tested:
            return frozenset()
        pairs = zip(self.rows[1:], self.comparisons, strict=True)
        return frozenset(
            row.combination
            for row, comparison in pairs
            if comparison.real and comparison.difference > 0
        )

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """The effect of each factor that has more than one level."""
        return tuple(
            effect(factor, self.combinations, self.rows, self.metric) for factor in self.factors
        )

    @cached_property
    def interactions(self) -> tuple[Interaction, ...]:
        """The interactions that the corrected tests call real, the largest first."""
        if not self.metric.tested:
            return ()
        return tuple(interactions(self.combinations, self.rows, self.metric))

    @cached_property
    def verdict(self) -> str:
        """A sentence: which combination is best, and which cannot be distinguished from it."""
        tested = self.comparisons if self.metric.tested else ()
        return text.verdict(self.rows, tested, self.metric)

    @cached_property
    def effect_sentences(self) -> tuple[str, ...]:
        """A sentence per factor; none if the metric is not tested."""
        if not self.metric.tested:
            return ()
        return tuple(text.effect_sentence(each, self.metric) for each in self.effects)

    @cached_property
    def interaction_sentences(self) -> tuple[str, ...]:
        """A sentence per interaction."""
        return tuple(text.interaction_sentence(each, self.metric) for each in self.interactions)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What readers of the ranking should know in addition to its numbers."""
        floor = self.noise_floor(self.rows[0]) if self.rows else 0.0
        return tuple(text.remarks(self.rows, self.metric, floor, self.test_examples))

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
    def _values(self) -> list[list[float]]:
        """The values of each row, larger being better; the worst for a seed that diverged."""
        counted = [self.metric.counted(row.values) for row in self.rows]
        return [[self.metric.sign * value for value in values] for values in counted]
