"""How much counts: criteria that a figure's whole interval lies beyond the least that matters."""

import math

from harness.claim import Criterion

# A fifth of the steps, half a point of accuracy, a twentieth of the time: less is not worth saying.
STEPS, POINTS, TIME = 1.2, 0.5, 1.05


def at_least(figure: str, low: float, null: str | None = None) -> Criterion:
    """The figure's 95% interval lies above `low`, and the null arm's mean below it."""
    return Criterion(figure, low, math.inf, null, of="interval")


def between(figure: str, low: float, high: float, null: str | None = None) -> Criterion:
    """The figure's 95% interval lies within the bounds, and the null arm's mean outside."""
    return Criterion(figure, low, high, null, of="interval")
