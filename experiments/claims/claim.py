"""What a claim is, and how it is judged."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jcnn.study.statistics import Interval, mean_interval

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Criterion:
    """A figure that must lie between two bounds, and a null arm's that must not.

    `null` names the same figure with the mechanism removed: it must fall outside the bounds.
    """

    figure: str
    low: float
    high: float
    null: str | None = None


@dataclass(frozen=True)
class Claim:
    """A published result. `measure(configuration)` gives each figure's values, one a seed.

    `quick` and `full` are changes of the configuration: what continuous integration runs, with the
    same criteria but for those of figures that need training, and the paper's own scale. A claim
    without `quick` cannot be checked at initialization.
    """

    name: str
    source: str
    statement: str
    configuration: Mapping[str, Any]
    criteria: Sequence[Criterion]
    measure: Callable[[Mapping[str, Any]], Figures]
    quick: Mapping[str, Any] | None = None
    full: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """One criterion's outcome; `null` is the null arm's mean, NaN where there is none."""

    figure: str
    low: float
    high: float
    mean: float
    interval: Interval
    null: float
    met: bool
    null_fails: bool

    @property
    def good(self) -> bool:
        """Whether the figure is as published and the null arm's is not."""
        return self.met and self.null_fails


def counted(accuracies: Sequence[float]) -> list[float]:
    """Accuracies over seeds, in which a run that diverged counts as 0."""
    return np.nan_to_num(accuracies).tolist()


def judge(claim: Claim, figures: Figures) -> list[Judged]:
    """Each criterion of which the figure was measured."""
    return [_judged(one, figures) for one in claim.criteria if one.figure in figures]


def verdict(judged: Sequence[Judged]) -> str:
    """REPRODUCED where all is as published, DIVERGED where nothing is, PARTIAL between."""
    if not judged:
        return "NOT TESTED"
    good = sum(one.good for one in judged)
    return "REPRODUCED" if good == len(judged) else "PARTIAL" if good else "DIVERGED"


def _judged(one: Criterion, figures: Figures) -> Judged:
    mean = float(np.mean(figures[one.figure]))
    null = math.nan if one.null is None else float(np.mean(figures[one.null]))
    outside = one.null is None or not one.low <= null <= one.high
    return Judged(
        one.figure,
        one.low,
        one.high,
        mean,
        mean_interval(figures[one.figure]),
        null,
        one.low <= mean <= one.high,
        outside,
    )
