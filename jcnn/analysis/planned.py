"""Comparisons that were chosen before the results were known: a baseline, or another study."""

from collections.abc import Sequence

import numpy as np

from jcnn.analysis.contrasts import compare_means
from jcnn.analysis.racing import last_level
from jcnn.analysis.spread import LEVEL, Comparison, Interval, Values


def planned_comparisons(
    arms: Sequence[Values],
    weights: np.ndarray,
    *,
    resolution: float | None,
    raced: bool,
) -> list[Comparison]:
    """Judge contrasts of the arms, one per row of `weights`, as one family at a level of 95%.

    The arms of a race are judged at the level of its last look, since which of them got more values
    depends on their values. Their p-values are scaled, so that the limit is 0.05 there, too.
    """
    level = last_level(arms) if raced else LEVEL
    found = compare_means(arms, weights, resolution=resolution, level=level)
    scale = (1 - LEVEL) / (1 - level)
    return [
        Comparison(float(difference), Interval(float(low), float(high)), min(float(p) * scale, 1.0))
        for difference, low, high, p in zip(*found, strict=True)
    ]
