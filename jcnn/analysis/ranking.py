"""The ranking's rows: each combination at the learning rate that validation chooses for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jcnn.analysis.metric import Measure
from jcnn.analysis.statistics import Interval, interquartile_mean, mean_interval
from jcnn.engine import Outcome

# A rate works where its validation value is at most this share of the best one's behind it.
NEAR_BEST = 0.05
# Where rates are extended, no combination gets more than this many.
MOST_RATES = 15


@dataclass(frozen=True)
class RunRecord:
    """One finished training."""

    combination: int
    learning_rate: float
    seed: int
    outcome: Outcome


@dataclass(frozen=True)
class Row:
    """One line of the ranking: a combination at the rate chosen on validation.

    `values` are the test metric of each seed, in the study's order of seeds; `mean` and `std`
    (n - 1) describe those that did not diverge and are NaN where there are too few. `diverged`
    counts diverged runs over all rates. `at_edge` says that the chosen rate is the least or
    greatest tried, so that a better one may lie outside. `by_rate` is the mean validation value of
    each rate tried, NaN where a run diverged, and `working` are those within `NEAR_BEST` of the
    best: a scheme that works at one rate only is worse than one that works at three. `missed`
    counts runs at the chosen rate that never got to what is measured (`Measure.missed`).
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

    @property
    def interval(self) -> Interval:
        """The mean's 95% bootstrap interval."""
        return mean_interval(self.values)

    @property
    def interquartile_mean(self) -> float:
        """The mean of the middle half of the values."""
        return interquartile_mean(self.values)


def row_of(
    combination: int, levels: Mapping[str, str], records: Sequence[RunRecord], measure: Measure
) -> Row:
    """The row of a combination with these runs: its rate has the best mean of `chosen_by`."""
    rates = sorted({record.learning_rate for record in records})
    scores = {rate: _validation(records, rate, measure) for rate in rates}
    chosen = min(rates, key=lambda rate: (measure.badness(scores[rate]), rate))
    at_rate = sorted(
        (record for record in records if record.learning_rate == chosen),
        key=lambda record: record.seed,
    )
    values = [_value(records, record, measure) for record in at_rate]
    finite = [value for value in values if math.isfinite(value)]
    worst = measure.badness(scores[chosen]) + NEAR_BEST * abs(scores[chosen])
    return Row(
        combination,
        levels,
        chosen,
        values,
        float(np.mean(finite)) if finite else math.nan,
        float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan,
        scores[chosen],
        sum(record.outcome.diverged_at is not None for record in records),
        len(records),
        len(rates) > 1 and chosen in (rates[0], rates[-1]),
        scores,
        [rate for rate, score in scores.items() if measure.badness(score) <= worst < math.inf],
        sum(measure.missed(record.outcome) for record in at_rate),
    )


def rate_beyond(row: Row) -> float | None:
    """A further rate for a combination whose chosen one is the least or greatest tried, or None.

    It is as far from that rate as that is from the next, or three times where it is alone. A
    combination that has had `MOST_RATES` gets no more.
    """
    rates = list(row.by_rate)
    if not (row.at_edge or len(rates) == 1) or len(rates) >= MOST_RATES:
        return None
    low = row.learning_rate == rates[0]
    ratio = 3.0 if len(rates) == 1 else rates[1] / rates[0] if low else rates[-1] / rates[-2]
    beyond = row.learning_rate / ratio if low else row.learning_rate * ratio
    return float(f"{beyond:.3g}")


def _validation(records: Sequence[RunRecord], rate: float, measure: Measure) -> float:
    outcomes = [record.outcome for record in records if record.learning_rate == rate]
    if any(outcome.diverged_at is not None for outcome in outcomes):
        return math.nan
    return float(np.mean([measure.chosen_by(outcome) for outcome in outcomes]))


def _value(records: Sequence[RunRecord], record: RunRecord, measure: Measure) -> float:
    """What a seed's run at the chosen rate, or where it is so all its runs, come to."""
    if not measure.over_rates:
        return measure.reported(record.outcome)
    same = [one.outcome for one in records if one.seed == record.seed]
    return float(np.mean([measure.reported(outcome) for outcome in same]))
