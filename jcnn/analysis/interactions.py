"""Interactions: the effect of one factor depends on the level of another."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jcnn.analysis.metric import Metric
from jcnn.analysis.ranking import Row
from jcnn.analysis.statistics import Comparison, compare

Combinations = Sequence[Mapping[str, str]]


class Interaction(NamedTuple):
    """How much more `better` gains over `worse` with one level of `other` than with a second.

    `better` and `worse` are levels of `factor`. `gains` compare them with `other`'s levels
    `levels[0]` and `levels[1]`, each averaged over the settings of the remaining factors that all
    four cells share. `contrast` is the first gain minus the second, paired over seeds and
    Holm-corrected over all contrasts of the study.
    """

    factor: str
    better: str
    worse: str
    other: str
    levels: tuple[str, str]
    gains: tuple[Comparison, Comparison]
    contrast: Comparison


class _Contrast(NamedTuple):
    """A contrast to be tested: the gains by seed, the larger first and positive."""

    factor: str
    better: str
    worse: str
    other: str
    levels: tuple[str, str]
    gains: tuple[np.ndarray, np.ndarray]


def interactions(
    combinations: Combinations, rows: Sequence[Row], metric: Metric
) -> list[Interaction]:
    """The interactions that the corrected tests call real, the largest first."""
    finished = [row for row in rows if math.isfinite(row.mean)]
    factors = list(combinations[0]) if combinations else []
    contrasts: list[_Contrast] = []
    for factor, other in itertools.combinations(factors, 2):
        for pair in itertools.combinations(_levels(combinations, factor), 2):
            for levels in itertools.combinations(_levels(combinations, other), 2):
                cells = _cells(finished, metric.sign, factor, pair, other, levels)
                if cells is not None:
                    contrasts.append(_oriented(factor, pair, other, levels, cells))
    comparisons = compare([contrast.gains for contrast in contrasts])
    real = [
        Interaction(*contrast[:5], _against_zero(contrast.gains), comparison)
        for contrast, comparison in zip(contrasts, comparisons, strict=True)
        if comparison.real
    ]
    return sorted(real, key=lambda interaction: -abs(interaction.contrast.difference))


def cell_means(
    combinations: Combinations, rows: Sequence[Row], factor: str, other: str
) -> dict[tuple[str, str], float]:
    """The mean per pair of levels of two factors, over all settings and seeds that finished."""
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if math.isfinite(row.mean):
            cells.setdefault((row.levels[factor], row.levels[other]), []).append(row.mean)
    return {
        pair: float(np.mean(cells[pair]))
        for pair in itertools.product(_levels(combinations, factor), _levels(combinations, other))
        if pair in cells
    }


def _levels(combinations: Combinations, factor: str) -> list[str]:
    return list(dict.fromkeys(levels[factor] for levels in combinations))


def _cells(
    rows: Sequence[Row],
    sign: int,
    factor: str,
    pair: tuple[str, str],
    other: str,
    levels: tuple[str, str],
) -> list[list[np.ndarray]] | None:
    """Values by seed of the four cells, larger being better; None if they share no setting."""
    table: dict[tuple[str, str], dict[tuple[str, ...], np.ndarray]] = {}
    for row in rows:
        setting = tuple(level for name, level in row.levels.items() if name not in (factor, other))
        cell = table.setdefault((row.levels[factor], row.levels[other]), {})
        cell[setting] = sign * np.asarray(row.values)
    four = [[table.get((level, column), {}) for column in levels] for level in pair]
    shared = sorted(set.intersection(*(set(cell) for line in four for cell in line)))
    if not shared:
        return None
    return [[np.mean([cell[s] for s in shared], axis=0) for cell in line] for line in four]


def _oriented(
    factor: str,
    pair: tuple[str, str],
    other: str,
    levels: tuple[str, str],
    cells: list[list[np.ndarray]],
) -> _Contrast:
    """The contrast with the larger of the two gains first, and positive."""
    gains = [cells[0][i] - cells[1][i] for i in range(2)]
    means = [float(np.nanmean(g)) if np.isfinite(g).any() else 0.0 for g in gains]
    if abs(means[1]) > abs(means[0]):
        gains, means, levels = gains[::-1], means[::-1], (levels[1], levels[0])
    if means[0] < 0:
        gains, pair = [-g for g in gains], (pair[1], pair[0])
    return _Contrast(factor, *pair, other, levels, (gains[0], gains[1]))


def _against_zero(gains: tuple[np.ndarray, np.ndarray]) -> tuple[Comparison, Comparison]:
    first, second = (compare([(gain, np.zeros_like(gain))])[0] for gain in gains)
    return first, second
