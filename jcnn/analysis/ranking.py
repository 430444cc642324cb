"""The ranking: each combination at the learning rate that validation chooses for it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jcnn.analysis.metric import Metric
from jcnn.analysis.records import RunRecord
from jcnn.analysis.statistics import Interval, interquartile_mean, mean_interval

# A learning rate works if its validation value is at most this share behind the best one's.
NEAR_BEST = 0.05
# Extending the learning rates gives no combination more than this many.
MOST_RATES = 15


@dataclass(frozen=True)
class Row:
    """One line of the ranking: a combination at the learning rate chosen on validation.

    `values` holds the metric of each seed, in the study's order of seeds; `mean` and `std` (n - 1)
    describe the finite ones and are NaN if there are too few. `diverged` counts diverged runs over
    all learning rates. `at_edge` says that the chosen rate is the smallest or largest that was
    tried, so a better one may lie outside the grid. `by_rate` is the mean validation value per
    learning rate, NaN if a run diverged there; `working` lists the rates within `NEAR_BEST` of the
    best. `missed` counts runs at the chosen rate that never reached the target (`Metric.missed`).
    """

    combination: int
    levels: Mapping[str, str]
    learning_rate: float
    values: Sequence[float]
    mean: float
    std: float
    validation: float
    diverged: int
    runs: int
    at_edge: bool
    by_rate: Mapping[float, float]
    working: Sequence[float]
    missed: int = 0

    @cached_property
    def interval(self) -> Interval:
        """The 95% bootstrap interval of the mean."""
        return mean_interval(self.values)

    @cached_property
    def interquartile_mean(self) -> float:
        """The mean of the middle half of the values."""
        return interquartile_mean(self.values)


def rank(
    combinations: Sequence[Mapping[str, str]],
    records: Sequence[RunRecord],
    failures: Collection[int],
    metric: Metric,
) -> tuple[Row, ...]:
    """Rank the combinations that have finished runs from best to worst by their mean.

    The learning rate of a combination is the one with the best mean validation value over seeds
    (the smaller rate on a tie). A rate at which a run diverged is chosen only if every rate has a
    diverged run.
    """
    by_combination: dict[int, list[RunRecord]] = {}
    for record in records:
        if record.combination not in failures:
            by_combination.setdefault(record.combination, []).append(record)
    rows = [
        _row(index, combinations[index], by_combination[index], metric)
        for index in sorted(by_combination)
    ]
    return tuple(sorted(rows, key=lambda row: metric.badness(row.mean)))


def next_learning_rate(row: Row) -> float | None:
    """A learning rate beyond the edge of the grid, or None if the chosen one is inside it.

    It is as far from the chosen rate as that is from its neighbour, by ratio, or a factor of 3 if
    only one rate was tried. A combination that has `MOST_RATES` gets no more.
    """
    rates = list(row.by_rate)
    if not (row.at_edge or len(rates) == 1) or len(rates) >= MOST_RATES:
        return None
    low = row.learning_rate == rates[0]
    ratio = 3.0 if len(rates) == 1 else rates[1] / rates[0] if low else rates[-1] / rates[-2]
    beyond = row.learning_rate / ratio if low else row.learning_rate * ratio
    return float(f"{beyond:.3g}")


def _row(
    combination: int, levels: Mapping[str, str], records: Sequence[RunRecord], metric: Metric
) -> Row:
    rates = sorted({record.learning_rate for record in records})
    scores = {rate: _validation(records, rate, metric) for rate in rates}
    chosen = min(rates, key=lambda rate: (metric.badness(scores[rate]), rate))
    at_rate = sorted(
        (record for record in records if record.learning_rate == chosen),
        key=lambda record: record.seed,
    )
    values = [_value(records, record, metric) for record in at_rate]
    finite = [value for value in values if math.isfinite(value)]
    worst = metric.badness(scores[chosen]) + NEAR_BEST * abs(scores[chosen])
    return Row(
        combination,
        levels,
        chosen,
        values,
        mean=float(np.mean(finite)) if finite else math.nan,
        std=float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan,
        validation=scores[chosen],
        diverged=sum(record.outcome.diverged_at is not None for record in records),
        runs=len(records),
        at_edge=len(rates) > 1 and chosen in (rates[0], rates[-1]),
        by_rate=scores,
        working=[rate for rate in rates if metric.badness(scores[rate]) <= worst < math.inf],
        missed=sum(metric.missed(record.outcome) for record in at_rate),
    )


def _validation(records: Sequence[RunRecord], rate: float, metric: Metric) -> float:
    outcomes = [record.outcome for record in records if record.learning_rate == rate]
    if any(outcome.diverged_at is not None for outcome in outcomes):
        return math.nan
    return float(np.mean([metric.chosen_by(outcome) for outcome in outcomes]))


def _value(records: Sequence[RunRecord], record: RunRecord, metric: Metric) -> float:
    """The value of a seed: of its run at the chosen rate, or over all its runs (`over_rates`)."""
    if not metric.over_rates:
        return metric.reported(record.outcome)
    same_seed = [other.outcome for other in records if other.seed == record.seed]
    return float(np.mean([metric.reported(outcome) for outcome in same_seed]))
