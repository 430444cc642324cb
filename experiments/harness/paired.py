"""Figures paired over seeds: differences in percentage points, and ratios of steps."""

import numpy as np

from harness.measurements import Measurements
from jcnn.study import Result, Row


def percent(row: Row) -> np.ndarray:
    """Return test accuracies in percent, one per seed; a diverged run counts as 0."""
    return 100 * np.nan_to_num(np.asarray(row.values, float))


def points(first: Row, second: Row) -> np.ndarray:
    """Return the lead of the first in test accuracy, in percentage points per seed."""
    return percent(first) - percent(second)


def ratio(first: Row, second: Row) -> np.ndarray:
    """Return the values of the first divided by those of the second, per seed."""
    return np.asarray(first.values, float) / np.asarray(second.values, float)


def rank_by_steps(measurements: Measurements, result: Result, name: str, target: float) -> Result:
    """Rank by steps to a validation accuracy, each combination at its fastest learning rate.

    A run that never reaches `target` counts with all its steps. Such runs are noted, and so is a
    fastest learning rate at the edge of those tried.
    """
    ranked = result.by(f"steps:{target:g}")
    for row in ranked.ranking():
        levels = ", ".join(row.levels.values())
        if row.missed:
            measurements.notes.append(
                f"{name}, {levels}: {row.missed} of {len(row.values)} runs never reach "
                f"{target:.0%} and count with all their steps"
            )
        elif row.at_edge:
            measurements.notes.append(
                f"{name}, {levels}: the fastest rate, {row.learning_rate:g}, is at the edge of "
                "those tried"
            )
    return ranked
