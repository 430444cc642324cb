"""Learning curves of combinations."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jcnn.analysis.metric import SHARES
from jcnn.report.style import (
    BLUE,
    FAINT,
    GREY,
    ORANGE,
    axes_of,
    figure,
    percent,
    shortened,
    text,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study import Result, Row


def plot_curves(result: "Result", row: "Row") -> "Figure":
    """Draw a combination's metric per epoch at its chosen learning rate: validation and training.

    The line is the mean over seeds and the band spans them. The grey line is the best combination's
    validation. The curve of a run that diverged ends there.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> plot_curves(result, result.ranking()[0]).savefig("/dev/null", format="svg")
    """
    metric = result.task_metric
    fig = figure(1.6, width=2.45, margins=(0.42, 0.25, 0.08, 0.25))
    axes = axes_of(fig)[0, 0]
    best = result.answer.rows[0]
    if row.combination != best.combination:
        values = _by_seed(result, best, f"validation_{metric}")
        axes.plot(_epochs(values), _mean(values), color=FAINT, linewidth=1.2)
    for part, colour, style in (("train", ORANGE, ":"), ("validation", BLUE, "-")):
        values = _by_seed(result, row, f"{part}_{metric}")
        if not values.size:
            continue
        if part == "validation" and len(values) > 1:
            finite = np.isfinite(values)
            low = np.where(finite, values, np.inf).min(axis=0)
            high = np.where(finite, values, -np.inf).max(axis=0)
            there = finite.any(axis=0)
            axes.fill_between(
                _epochs(values), low, high, where=there, color=colour, alpha=0.25, linewidth=0
            )
        axes.plot(_epochs(values), _mean(values), style, color=colour, linewidth=1.4)
    title(axes, shortened(", ".join(row.levels.values()) or "all", 34), fontsize=8)
    _scale(axes, result)
    text(axes, 0.98, 0.04, f"rate {row.learning_rate:g}", transform=axes.transAxes,
         ha="right", color=GREY)  # fmt: skip
    axes.tick_params(labelsize=7)
    return fig


def _scale(axes: Any, result: "Result") -> None:
    """Use one scale for all combinations, so that they can be compared."""
    name = f"validation_{result.task_metric}"
    finite = [
        value
        for record in result.records
        for value in record.outcome.curves.get(name, [])
        if np.isfinite(value)
    ]
    if not finite:
        return
    low, high = (0.0, 1.0) if result.task_metric in SHARES else np.quantile(finite, [0, 0.95])
    margin = 0.03 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    if result.task_metric in SHARES:
        percent(axes.yaxis)


def _by_seed(result: "Result", row: "Row", name: str) -> np.ndarray:
    curves = [run.outcome.curves.get(name, []) for run in result.chosen(row)]
    return np.array([curve for curve in curves if curve], float)


def _mean(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _epochs(values: np.ndarray) -> np.ndarray:
    return np.arange(1, values.shape[1] + 1)
