"""The learning-rate grid of a combination: the rate that validation chooses, and one beyond."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jcnn.analysis.metric import Metric
from jcnn.analysis.records import RunRecord

# A learning rate works if its validation value is at most this share behind the best one's.
NEAR_BEST = 0.05
# Extending the grid gives no combination more learning rates than this.
MOST_RATES = 15


@dataclass(frozen=True)
class TunedGrid:
    """The learning rates of one combination, in order, with their mean validation values.

    `scores` has NaN if a run diverged at a rate. `working` lists the rates within `NEAR_BEST` of
    the best one.
    """

    scores: Mapping[float, float]
    chosen: float
    working: Sequence[float]

    def at_edge(self, others: Sequence[float] = ()) -> bool:
        """Whether the chosen rate is the smallest or largest of several, `others` included."""
        rates = sorted([*self.scores, *others])
        return len(rates) > 1 and self.chosen in (rates[0], rates[-1])


def tune(records: Sequence[RunRecord], metric: Metric) -> TunedGrid:
    """Choose the learning rate with the best mean validation value over seeds.

    Only the rates with the largest number of seeds are chosen from: a study that stops rates early
    has compared the others with fewer. The smaller rate wins a tie. A rate at which a run diverged
    is chosen only if every rate has a diverged run.
    """
    seeds = Counter(record.learning_rate for record in records)
    rates = sorted(seeds)
    scores = {rate: _validation(records, rate, metric) for rate in rates}
    able = [rate for rate in rates if math.isfinite(scores[rate])] or rates
    most = max(seeds[rate] for rate in able)
    candidates = [rate for rate in able if seeds[rate] == most]
    chosen = min(candidates, key=lambda rate: (metric.badness(scores[rate]), rate))
    worst = metric.badness(scores[chosen]) + NEAR_BEST * abs(scores[chosen])
    working = [rate for rate in rates if metric.badness(scores[rate]) <= worst < math.inf]
    return TunedGrid(scores, chosen, working)


def beyond_edge(rates: Sequence[float], chosen: float) -> float | None:
    """A learning rate beyond the edge of the grid, or None if the chosen one is inside it.

    It is as far from the chosen rate as that is from its neighbour, by ratio, or a factor of 3 if
    only one rate was tried. A grid of `MOST_RATES` gets no more.

    >>> beyond_edge([0.01, 0.1], 0.1), beyond_edge([0.01, 0.1, 1.0], 0.1)
    (1.0, None)
    """
    alone = len(rates) == 1
    if len(rates) >= MOST_RATES or not (alone or chosen in (rates[0], rates[-1])):
        return None
    low = chosen == rates[0]
    ratio = 3.0 if alone else rates[1] / rates[0] if low else rates[-1] / rates[-2]
    return float(f"{chosen / ratio if low else chosen * ratio:.3g}")


def _validation(records: Sequence[RunRecord], rate: float, metric: Metric) -> float:
    outcomes = [record.outcome for record in records if record.learning_rate == rate]
    if any(outcome.diverged_at is not None for outcome in outcomes):
        return math.nan
    return float(np.mean([metric.chosen_by(outcome) for outcome in outcomes]))
