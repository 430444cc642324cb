"""The metric that ranks a study's runs: a test metric, time to a target, area under a curve.

A metric has two sides: the value that is reported, and the value by which the learning rate is
chosen, which never uses the test set.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jcnn.analysis.spread import Interval
from jcnn.engine import Outcome
from jcnn.errors import UsageError, nearest

# Metrics that are shares from 0 to 1, of which larger ones are better.
SHARES = ("accuracy", "balanced_accuracy", "f1", "top5")
FORMS = ("accuracy", "loss", "error", "area", "steps:TARGET", "seconds:TARGET", "diverged")


@dataclass(frozen=True)
class Metric:
    """One number per run: `reported`, and `chosen_by` for the learning rate; both of an `Outcome`.

    With `over_rates`, the number is a mean over all learning rates instead of the value at the
    chosen one. `percent` shows shares as percentages; `unit` is appended to other numbers.
    """

    name: str
    title: str
    higher_is_better: bool
    reported: Callable[[Outcome], float]
    chosen_by: Callable[[Outcome], float]
    percent: bool = False
    unit: str = ""
    # The least value that there is, unless the metric is a share.
    least: float = -math.inf
    over_rates: bool = False
    # The runs of a group share its time, so seeds are not independent measurements of it.
    tested: bool = True
    # Whether a run never reached the target, so that its number is a lower bound.
    missed: Callable[[Outcome], bool] = lambda outcome: False

    @property
    def sign(self) -> int:
        """1 if larger values are better, else -1."""
        return 1 if self.higher_is_better else -1

    def badness(self, value: float) -> float:
        """A sort key from best to worst; values that are not finite come last."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.higher_is_better else value

    @property
    def worst(self) -> float:
        """The worst value that there is: 0 for a share that should be large, else infinite."""
        if not self.higher_is_better:
            return math.inf
        return 0.0 if self.percent else -math.inf

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and largest value that there is."""
        return (0.0, 1.0) if self.percent else (self.least, math.inf)

    def counted(self, values: Sequence[float]) -> list[float]:
        """Values by seed, with the worst value for a seed that diverged."""
        return [value if math.isfinite(value) else self.worst for value in values]

    def show(self, value: float) -> str:
        """Format a value."""
        if not math.isfinite(value):
            return "-"
        return f"{100 * value:.2f}%" if self.percent else f"{value:.4g}{self.unit}"

    def show_interval(self, interval: Interval) -> str:
        """Format an interval; empty if there is none."""
        if math.isnan(interval.low):
            return ""
        if self.percent:
            # Adding 0.0 removes the sign of a bound that rounds to zero.
            low, high = (round(100 * bound, 1) + 0.0 for bound in interval)
            return f"[{low:.1f}, {high:.1f}]"
        return f"[{interval.low:.3g}, {interval.high:.3g}]"

    def show_difference(self, difference: float) -> str:
        """Format a difference; differences of shares are in percentage points."""
        return f"{100 * difference:.1f} points" if self.percent else f"{difference:.3g}{self.unit}"

    def show_bound(self, bound: float) -> str:
        """Format the largest size of a difference, rounded up to two digits.

        >>> at_end("accuracy", True).show_bound(0.00941), at_end("loss", False).show_bound(0.0312)
        ('1 point', '0.032')
        """
        value = bound * (100 if self.percent else 1) * (1 - 1e-9)
        if not 0 < value < math.inf:
            return self.show_difference(bound)
        digits = int(value < 10) if self.percent else max(1 - math.floor(math.log10(value)), 0)
        number = f"{math.ceil(value * 10**digits) / 10**digits:.{digits}f}"
        if self.percent:
            number = number.removesuffix(".0")
            return f"{number} point{'s' * (number != '1')}"
        return f"{number}{self.unit}"


def at_end(name: str, higher_is_better: bool) -> Metric:
    """The test metric after the last epoch; NaN for a run that diverged."""

    def reported(outcome: Outcome) -> float:
        return math.nan if outcome.diverged_at is not None else outcome.test.get(name, math.nan)

    def chosen_by(outcome: Outcome) -> float:
        return outcome.final(f"validation_{name}")

    return Metric(name, f"test {name}", higher_is_better, reported, chosen_by, name in SHARES)


def parse_metric(
    form: str, task_metric: str, higher_is_better: bool, others: Mapping[str, bool] | None = None
) -> Metric:
    """The metric that one of `FORMS` names, for a task whose main metric is `task_metric`.

    `others` are further metrics of the task, and whether larger values of them are better.

    Raises UsageError for any other form, with the nearest known ones, and for a target that is not
    a number.

    >>> parse_metric("steps:0.9", "accuracy", True).title
    'steps to 90% validation accuracy'
    """
    head, colon, _ = form.partition(":")
    better = {"loss": False, **(others or {}), task_metric: higher_is_better}
    if not colon and head in better:
        return at_end(head, better[head])
    if form == "area":
        return _area(task_metric, higher_is_better)
    if form == "diverged":
        return _diverged(at_end(task_metric, higher_is_better))
    if head in ("steps", "seconds") and colon:
        return _time_to_target(form, task_metric, higher_is_better)
    forms = [name for name in FORMS if name not in ("accuracy", "error")]
    known = [*dict.fromkeys([task_metric, *(others or {}), *forms])]
    raise nearest("metric", form, known)


def _area(task_metric: str, higher_is_better: bool) -> Metric:
    def mean(outcome: Outcome) -> float:
        return float(np.mean(outcome.curves[f"validation_{task_metric}"]))

    title = f"area under validation {task_metric}"
    return Metric("area", title, higher_is_better, mean, mean, task_metric in SHARES)


def _time_to_target(form: str, task_metric: str, higher_is_better: bool) -> Metric:
    """Time to the end of the first epoch whose validation metric reaches the target.

    A run that never reaches it counts with its whole time, so means are lower bounds.
    """
    head, _, number = form.partition(":")
    try:
        target = float(number)
    except ValueError:
        target = math.nan
    if not math.isfinite(target):
        raise UsageError(f"metric {form}: expected a number after the colon, such as {head}:0.9")
    if task_metric in SHARES and not 0 < target <= 1:
        raise UsageError(f"metric {form}: expected a share from 0 to 1, such as {head}:0.9")

    def reached(outcome: Outcome) -> list[bool]:
        curve = outcome.curves[f"validation_{task_metric}"]
        return [v >= target if higher_is_better else v <= target for v in curve]

    def time(outcome: Outcome) -> float:
        hits = reached(outcome)
        epochs = hits.index(True) + 1 if any(hits) else len(hits)
        if head == "steps":
            return outcome.steps * epochs / len(hits)
        trained = outcome.epochs or len(hits)
        return outcome.seconds * min(epochs, trained) / trained

    shown = f"{100 * target:g}%" if task_metric in SHARES else f"{target:g}"
    title = f"{head} to {shown} validation {task_metric}"
    return Metric(
        form,
        title,
        False,
        time,
        time,
        unit=" s" if head == "seconds" else "",
        least=0.0,
        tested=head != "seconds",
        missed=lambda outcome: not any(reached(outcome)),
    )


def _diverged(main: Metric) -> Metric:
    def diverged(outcome: Outcome) -> float:
        return float(outcome.diverged_at is not None)

    return Metric(
        "diverged",
        "share diverged, all rates",
        False,
        diverged,
        lambda outcome: main.badness(main.chosen_by(outcome)),
        percent=True,
        over_rates=True,
    )
