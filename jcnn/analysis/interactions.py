"""Where the effect of one factor depends on the level of another."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jcnn.analysis.statistics import Comparison, compare
from jcnn.analysis.text import bounded, p_value

if TYPE_CHECKING:
    from jcnn.analysis.result import Result, Row


class Interaction(NamedTuple):
    """How much more `better` gains on `worse` (levels of `factor`) with one level than another.

    `gains` are `better` against `worse` with `other`'s levels `levels[0]` and `levels[1]`, each
    averaged over the settings of the remaining factors that all four cells share; `contrast` is the
    first gain less the second, paired over seeds, corrected over all contrasts of the study.
    """

    factor: str
    better: str
    worse: str
    other: str
    levels: tuple[str, str]
    gains: tuple[Comparison, Comparison]
    contrast: Comparison


def interactions(result: "Result") -> list[Interaction]:
    """Those that the corrected tests call real, the largest first."""
    rows = [row for row in result.ranking() if math.isfinite(row.mean)]
    factors = list(result.combinations[0]) if result.combinations else []
    found: list[tuple[tuple[str, str, str, str, tuple[str, str]], list[np.ndarray]]] = []
    for factor, other in itertools.combinations(factors, 2):
        for pair in itertools.combinations(_levels(result, factor), 2):
            for levels in itertools.combinations(_levels(result, other), 2):
                cells = _cells(result, rows, factor, pair, other, levels)
                if cells is not None:
                    found.append(_oriented(factor, pair, other, levels, cells))
    contrasts = compare([(gains[0], gains[1]) for _, gains in found])
    real = [
        Interaction(*names, _gains(gains), contrast)
        for (names, gains), contrast in zip(found, contrasts, strict=True)
        if contrast.real
    ]
    return sorted(real, key=lambda one: -abs(one.contrast.difference))


def sentence(result: "Result", one: Interaction) -> str:
    """An interaction in words."""
    first, second = one.gains
    then = f"by {bounded(result, second)} with {one.levels[1]}"
    if second.interval.low <= 0 <= second.interval.high:
        then = f"not with {one.levels[1]} ({bounded(result, second)})"
    elif second.difference < 0:
        then = f"and is behind with {one.levels[1]} ({bounded(result, second)})"
    return (
        f"{one.factor} x {one.other}: {one.better} beats {one.worse} by "
        f"{bounded(result, first)} with {one.levels[0]}, {then}; corrected {p_value(one.contrast)}"
    )


def cell_means(result: "Result", factor: str, other: str) -> dict[tuple[str, str], float]:
    """The mean of each pair of levels of two factors, over all settings and seeds that finished."""
    cells: dict[tuple[str, str], list[float]] = {}
    for row in result.ranking():
        if math.isfinite(row.mean):
            cells.setdefault((row.levels[factor], row.levels[other]), []).append(row.mean)
    return {
        (one, two): float(np.mean(cells[one, two]))
        for one in _levels(result, factor)
        for two in _levels(result, other)
        if (one, two) in cells
    }


def _levels(result: "Result", factor: str) -> list[str]:
    return list(dict.fromkeys(levels[factor] for levels in result.combinations))


def _cells(
    result: "Result",
    rows: Sequence["Row"],
    factor: str,
    pair: tuple[str, str],
    other: str,
    levels: tuple[str, str],
) -> list[list[np.ndarray]] | None:
    """Values by seed of the four cells, larger being better; None where no setting has all four."""
    sign = 1 if result.measure.higher_is_better else -1
    table: dict[tuple[str, str], dict[tuple[str, ...], np.ndarray]] = {}
    for row in rows:
        rest = tuple(v for k, v in row.levels.items() if k not in (factor, other))
        cell = table.setdefault((row.levels[factor], row.levels[other]), {})
        cell[rest] = sign * np.asarray(row.values)
    four = [[table.get((level, with_), {}) for with_ in levels] for level in pair]
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
) -> tuple[tuple[str, str, str, str, tuple[str, str]], list[np.ndarray]]:
    """The larger of the two gains first, and positive."""
    gains = [cells[0][i] - cells[1][i] for i in range(2)]
    means = [float(np.nanmean(g)) if np.isfinite(g).any() else 0.0 for g in gains]
    if abs(means[1]) > abs(means[0]):
        gains, means, levels = gains[::-1], means[::-1], (levels[1], levels[0])
    if means[0] < 0:
        gains, pair = [-g for g in gains], (pair[1], pair[0])
    return (factor, *pair, other, levels), gains


def _gains(gains: Sequence[np.ndarray]) -> tuple[Comparison, Comparison]:
    first, second = (compare([(g, np.zeros_like(g))])[0] for g in gains)
    return first, second
