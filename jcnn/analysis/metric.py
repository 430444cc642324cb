"""By what a study judges its runs: a test metric, time to a target, the area under a curve.

Every measure has two sides: what is reported, and what the learning rate is chosen by, which never
looks at the test set.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jcnn.analysis.statistics import Interval
from jcnn.engine import Outcome
from jcnn.errors import UsageError, nearest

FORMS = ("accuracy", "loss", "error", "area", "steps:TARGET", "seconds:TARGET", "diverged")


@dataclass(frozen=True)
class Measure:
    """One number a run: `reported`, and `chosen_by` for the rate; both are of an `Outcome`.

    `over_rates` says that the number is a mean over all rates rather than at the chosen one.
    `percent` shows shares as percentages, and `unit` follows other numbers.
    """

    name: str
    title: str
    higher_is_better: bool
    reported: Callable[[Outcome], float]
    chosen_by: Callable[[Outcome], float]
    percent: bool = False
    unit: str = ""
    over_rates: bool = False
    # Runs of a group share its time, so seeds are no independent measurements of it.
    tested: bool = True
    # Of a run, whether it never got to what is measured, so that its number is a bound from below.
    missed: Callable[[Outcome], bool] = lambda outcome: False

    def badness(self, value: float) -> float:
        """What sorts values from best to worst."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.higher_is_better else value

    def show(self, value: float) -> str:
        """A value as people read it."""
        if not math.isfinite(value):
            return "-"
        return f"{100 * value:.2f}%" if self.percent else f"{value:.4g}{self.unit}"

    def show_interval(self, interval: Interval) -> str:
        """An interval as people read it; nothing where there is none."""
        if math.isnan(interval.low):
            return ""
        if self.percent:
            # A bound that is rounded to nothing has no sign.
            low, high = (round(100 * bound, 1) + 0.0 for bound in interval)
            return f"[{low:.1f}, {high:.1f}]"
        return f"[{interval.low:.3g}, {interval.high:.3g}]"

    def gap(self, difference: float) -> str:
        """A difference as people read it: shares in points."""
        return f"{100 * difference:.1f} points" if self.percent else f"{difference:.3g}{self.unit}"


def at_end(metric: str, higher_is_better: bool) -> Measure:
    """The test metric after the last epoch; NaN for a run that diverged."""

    def reported(outcome: Outcome) -> float:
        return math.nan if outcome.diverged_at is not None else outcome.test.get(metric, math.nan)

    def chosen_by(outcome: Outcome) -> float:
        return outcome.curves[f"validation_{metric}"][-1]

    return Measure(
        metric, f"test {metric}", higher_is_better, reported, chosen_by, metric == "accuracy"
    )


def measure(form: str, metric: str, higher_is_better: bool) -> Measure:
    """The measure that one of `FORMS` names, for a task of this main metric.

    Raises UsageError for another form, with the nearest, or a target that is not a number.
    """
    head, colon, _ = form.partition(":")
    if not colon and head in (metric, "loss"):
        return at_end(head, higher_is_better and head == metric)
    if form == "area":
        return _area(metric, higher_is_better)
    if form == "diverged":
        return _diverged(at_end(metric, higher_is_better))
    if head in ("steps", "seconds") and colon:
        return _until(form, metric, higher_is_better)
    known = [one for one in FORMS if one not in ("accuracy", "error") or one == metric]
    raise nearest("metric", form, known)


def _area(metric: str, higher_is_better: bool) -> Measure:
    def mean(outcome: Outcome) -> float:
        return float(np.mean(outcome.curves[f"validation_{metric}"]))

    title = f"area under validation {metric}"
    return Measure("area", title, higher_is_better, mean, mean, metric == "accuracy")


def _until(form: str, metric: str, higher_is_better: bool) -> Measure:
    """Time to the end of the first epoch whose validation metric reaches the target.

    A run that never does counts with all its time, so means are bounds from below.
    """
    head, _, word = form.partition(":")
    try:
        target = float(word)
    except ValueError:
        target = math.nan
    if not math.isfinite(target):
        raise UsageError(f"metric {form}: expected a number after the colon, such as {head}:0.9")
    if metric == "accuracy" and not 0 < target <= 1:
        raise UsageError(f"metric {form}: expected an accuracy from 0 to 1, such as {head}:0.9")

    def reached(outcome: Outcome) -> list[bool]:
        curve = outcome.curves[f"validation_{metric}"]
        return [v >= target if higher_is_better else v <= target for v in curve]

    def time(outcome: Outcome) -> float:
        there = reached(outcome)
        epochs = there.index(True) + 1 if any(there) else len(there)
        whole = outcome.steps if head == "steps" else outcome.seconds
        return whole * epochs / len(there)

    shown = f"{100 * target:g}%" if metric == "accuracy" else f"{target:g}"
    title = f"{head} to {shown} validation {metric}"
    return Measure(
        form,
        title,
        False,
        time,
        time,
        unit=" s" if head == "seconds" else "",
        tested=head != "seconds",
        missed=lambda outcome: not any(reached(outcome)),
    )


def _diverged(main: Measure) -> Measure:
    def diverged(outcome: Outcome) -> float:
        return float(outcome.diverged_at is not None)

    return Measure(
        "diverged",
        "share diverged, all rates",
        False,
        diverged,
        lambda outcome: main.badness(main.chosen_by(outcome)),
        percent=True,
        over_rates=True,
    )
