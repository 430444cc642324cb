"""Criteria on a figure's whole confidence interval, and the smallest effects that matter."""

import math

from harness.claim import Criterion

# Ratios of steps, points of accuracy and ratios of time below these are too small to matter.
STEPS, POINTS, TIME = 1.2, 0.5, 1.05


def at_least(figure: str, low: float, null: str | None = None) -> Criterion:
    """Require the figure's 95% interval above `low`, and the null arm's mean below it."""
    return Criterion(figure, low, math.inf, null, of="interval")


def between(figure: str, low: float, high: float, null: str | None = None) -> Criterion:
    """Require the figure's 95% interval within the bounds, and the null arm's mean outside."""
    return Criterion(figure, low, high, null, of="interval")
