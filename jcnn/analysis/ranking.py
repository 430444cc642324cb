"""The ranking: each combination at the learning rate that validation chooses for it."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jcnn.analysis.learning_rate_grid import tune
from jcnn.analysis.metric import Metric
from jcnn.analysis.records import RunRecord
from jcnn.analysis.spread import Interval, interquartile_mean, mean_interval


@dataclass(frozen=True)
class Row:
    """One line of the ranking: a combination at the learning rate chosen on validation.

    `values` holds the metric of each seed, in the study's order of seeds; NaN if it diverged.
    `counted` replaces NaN by the worst value of the metric, and `mean` and `std` (n - 1) describe
    those; if the worst value is infinite, they describe the seeds that did not diverge. They are
    NaN if there are too few, or if every seed diverged. `diverged` counts diverged runs over
    all learning rates. `at_edge` says that the chosen rate is the smallest or largest that was
    tried, so a better one may lie outside the grid. `by_rate` is the mean validation value per
    learning rate, NaN if a run diverged there; `working` lists the rates that come close to the
    best. `missed` counts runs at the chosen rate that never reached the target (`Metric.missed`).
    """

    combination: int
    levels: Mapping[str, str]
    learning_rate: float
    values: Sequence[float]
    counted: Sequence[float]
    interval: Interval
    mean: float
    std: float
    validation: float
    diverged: int
    runs: int
    at_edge: bool
    by_rate: Mapping[float, float]
    working: Sequence[float]
    missed: int = 0

    @property
    def lost(self) -> int:
        """The number of seeds without a finite value: they diverged at the chosen rate."""
        return sum(not math.isfinite(value) for value in self.values)

    @property
    def comparable(self) -> bool:
        """Whether every seed has a finite value, or the metric has one that counts for it."""
        return all(map(math.isfinite, self.counted))

    @cached_property
    def interquartile_mean(self) -> float:
        """The mean of the middle half of the values."""
        return interquartile_mean(self.counted)


def rank(
    combinations: Sequence[Mapping[str, str]],
    records: Sequence[RunRecord],
    failures: Collection[int],
    metric: Metric,
    stopped_rates: Sequence[tuple[int, float]] = (),
) -> tuple[Row, ...]:
    """Rank the combinations that have finished runs from best to worst by their mean.

    A seed that diverged counts as the worst value of the metric: 0 for an accuracy. A worst loss is
    infinite, so by a loss combinations without diverged seeds come first.

    The learning rate of a combination is the one with the best mean validation value over seeds
    (the smaller rate on a tie). A rate at which a run diverged is chosen only if every rate has a
    diverged run. `stopped_rates` (combination, rate) were tried, but not trained to the end.
    """
    by_combination: dict[int, list[RunRecord]] = {}
    for record in records:
        if record.combination not in failures:
            by_combination.setdefault(record.combination, []).append(record)
    rows = [
        _row(
            index,
            combinations[index],
            by_combination[index],
            metric,
            [rate for combination, rate in stopped_rates if combination == index],
        )
        for index in sorted(by_combination)
    ]
    return tuple(sorted(rows, key=lambda row: _order(row, metric)))


def _order(row: Row, metric: Metric) -> tuple[float, int, float]:
    """The badness of the mean with the worst value for diverged seeds; ties by their number."""
    return metric.badness(float(np.mean(row.counted))), row.lost, metric.badness(row.mean)


def _row(
    combination: int,
    levels: Mapping[str, str],
    records: Sequence[RunRecord],
    metric: Metric,
    stopped: Sequence[float],
) -> Row:
    grid = tune(records, metric)
    chosen = grid.chosen
    at_rate = sorted(
        (record for record in records if record.learning_rate == chosen),
        key=lambda record: record.seed,
    )
    if metric.over_rates:
        # In a race, only the first seed has every rate.
        tried = Counter(record.seed for record in records)
        at_rate = [each for each in at_rate if tried[each.seed] == max(tried.values())]
    values = [_value(records, record, metric) for record in at_rate]
    counted = metric.counted(values)
    trained = any(map(math.isfinite, values))
    finite = [value for value in counted if math.isfinite(value) and trained]
    low, high = metric.limits
    return Row(
        combination,
        levels,
        chosen,
        values,
        counted,
        mean_interval(finite, low=low, high=high),
        mean=float(np.mean(finite)) if finite else math.nan,
        std=float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan,
        validation=grid.scores[chosen],
        diverged=sum(record.outcome.diverged_at is not None for record in records),
        runs=len(records),
        at_edge=grid.at_edge(stopped),
        by_rate=grid.scores,
        working=grid.working,
        missed=sum(metric.missed(record.outcome) for record in at_rate),
    )


def _value(records: Sequence[RunRecord], record: RunRecord, metric: Metric) -> float:
    """The value of a seed: of its run at the chosen rate, or over all its runs (`over_rates`)."""
    if not metric.over_rates:
        return metric.reported(record.outcome)
    same_seed = [other.outcome for other in records if other.seed == record.seed]
    return float(np.mean([metric.reported(outcome) for outcome in same_seed]))
