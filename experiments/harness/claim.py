"""Claims with their criteria, and the verdict on them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.measurements import Measurements
from jcnn.analysis.spread import Interval, mean_interval

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Criterion:
    """Bounds that a figure must lie within, and that its null arm must lie outside.

    `null` names the same figure with the mechanism removed; its mean must fall outside the bounds.
    `of` says what must lie within the bounds: the mean over seeds, the value of every seed, or the
    whole 95% confidence interval of the mean (Student's t), which takes at least three seeds.
    """

    figure: str
    low: float
    high: float
    null: str | None = None
    of: Literal["mean", "every", "interval"] = "mean"


@dataclass(frozen=True)
class Claim:
    """A published result or a textbook statement, with the criteria that test it.

    `measure(configuration, measurements)` adds the values of each figure, one per seed.

    `quick` holds the changes to the configuration for `--smoke`. The criteria stay the same, except
    that figures which require training are left out. A claim without `quick` cannot be checked at
    initialization. `full` holds the changes for a run at the paper's scale on an accelerator.
    """

    name: str
    source: str
    statement: str
    configuration: Mapping[str, Any]
    criteria: Sequence[Criterion]
    measure: Callable[[Mapping[str, Any], Measurements], None]
    quick: Mapping[str, Any] | None = None
    full: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class CriterionResult:
    """The outcome of one criterion; `null` is the mean of the null arm, NaN if it has none."""

    figure: str
    low: float
    high: float
    of: str
    mean: float
    interval: Interval
    null: float
    met: bool
    null_fails: bool

    @property
    def good(self) -> bool:
        """Whether the figure meets the criterion and its null arm does not."""
        return self.met and self.null_fails


def evaluate(claim: Claim, figures: Figures) -> list[CriterionResult]:
    """Evaluate each criterion whose figure was measured."""
    return [
        _evaluate_criterion(criterion, figures)
        for criterion in claim.criteria
        if criterion.figure in figures
    ]


def verdict(results: Sequence[CriterionResult]) -> str:
    """Return REPRODUCED if all criteria are good, DIVERGED if none is, PARTIAL otherwise."""
    if not results:
        return "NOT TESTED"
    good = sum(result.good for result in results)
    return "REPRODUCED" if good == len(results) else "PARTIAL" if good else "DIVERGED"


def _evaluate_criterion(criterion: Criterion, figures: Figures) -> CriterionResult:
    low, high = criterion.low, criterion.high
    values = figures[criterion.figure]
    mean, interval = float(np.mean(values)), mean_interval(values)
    null = math.nan if criterion.null is None else float(np.mean(figures[criterion.null]))
    bounded = {"mean": [mean], "every": values, "interval": interval}[criterion.of]
    return CriterionResult(
        criterion.figure,
        low,
        high,
        criterion.of,
        mean,
        interval,
        null,
        met=all(low <= value <= high for value in bounded),
        null_fails=criterion.null is None or not low <= null <= high,
    )
