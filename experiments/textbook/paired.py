"""Figures that are paired over seeds: differences in points, and ratios of steps."""

import numpy as np

from harness.found import Found
from jcnn.study import Result, Row


def percent(row: Row) -> np.ndarray:
    """Test accuracies in percent, one a seed; a run that diverged counts as 0."""
    return 100 * np.nan_to_num(np.asarray(row.values, float))


def points(first: Row, second: Row) -> np.ndarray:
    """By how many points of test accuracy the first is ahead, seed by seed."""
    return percent(first) - percent(second)


def ratio(first: Row, second: Row) -> np.ndarray:
    """The first's values over the second's, seed by seed."""
    return np.asarray(first.values, float) / np.asarray(second.values, float)


def by_steps(found: Found, result: Result, name: str, target: float) -> Result:
    """The runs judged by their steps to a validation accuracy, each at the rate fastest to it.

    A run that never gets there counts with all its steps, which is noted, and so is a fastest rate
    at the edge of those tried.
    """
    judged = result.by(f"steps:{target:g}")
    for row in judged.ranking():
        levels = ", ".join(row.levels.values())
        if row.missed:
            found.notes.append(
                f"{name}, {levels}: {row.missed} of {len(row.values)} runs never reach "
                f"{target:.0%} and count with all their steps"
            )
        elif row.at_edge:
            found.notes.append(
                f"{name}, {levels}: the fastest rate, {row.learning_rate:g}, is at the edge of "
                "those tried"
            )
    return judged
