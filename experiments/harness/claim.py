"""What a claim is, and how it is judged."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.found import Found
from jcnn.analysis.statistics import Interval, compare

Figures = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Criterion:
    """A figure that must lie between two bounds, and a null arm's that must not.

    `null` names the same figure with the mechanism removed: its mean must fall outside the bounds.
    `of` says what must lie inside: the mean over seeds, every seed's value, or the mean's whole 95%
    interval, which is Student's t: with four or five seeds a bootstrap's is too narrow.
    """

    figure: str
    low: float
    high: float
    null: str | None = None
    of: Literal["mean", "every", "interval"] = "mean"


@dataclass(frozen=True)
class Claim:
    """A published result. `measure(configuration, found)` adds each figure's values, one a seed.

    `quick` is what changes of the configuration where continuous integration runs it, with the same
    criteria but for those of figures that need training. A claim without it cannot be checked at
    initialization. `full` is what changes where an accelerator runs it at the paper's scale.
    """

    name: str
    source: str
    statement: str
    configuration: Mapping[str, Any]
    criteria: Sequence[Criterion]
    measure: Callable[[Mapping[str, Any], Found], None]
    quick: Mapping[str, Any] | None = None
    full: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Judged:
    """One criterion's outcome; `null` is the null arm's mean, NaN where there is none."""

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
        """Whether the figure is as published and the null arm's is not."""
        return self.met and self.null_fails


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
    values = figures[one.figure]
    mean, interval = float(np.mean(values)), compare([(values, np.zeros(len(values)))])[0].interval
    null = math.nan if one.null is None else float(np.mean(figures[one.null]))
    inside = {"mean": [mean], "every": values, "interval": interval}[one.of]
    return Judged(
        one.figure,
        one.low,
        one.high,
        one.of,
        mean,
        interval,
        null,
        all(one.low <= value <= one.high for value in inside),
        one.null is None or not one.low <= null <= one.high,
    )
