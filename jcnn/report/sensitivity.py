"""How sensitive each combination is to its learning rate, as a figure."""

import math
from typing import TYPE_CHECKING

import numpy as np

from jcnn.report.style import (
    COLOURS,
    FAINT,
    axes_of,
    figure,
    percent,
    shortened,
    spread,
    stretch,
    text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study import Result

NAMED = 5


def plot_sensitivity(result: "Result", *, named: int = NAMED) -> "Figure | None":
    """Draw the mean validation metric over the learning rate, a line per combination.

    The `named` best ones are in colour, with the chosen rate filled. A learning rate at which a run
    diverged is a gap. None if only one learning rate was tried.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> plot_sensitivity(result).axes[0].get_xscale()
    'log'
    """
    rows = [row for row in result.answer.rows if len(row.by_rate) > 1]
    if not rows:
        return None
    fig = figure(3.3)
    axes = axes_of(fig)[0, 0]
    for row in rows[named:]:
        axes.plot(list(row.by_rate), list(row.by_rate.values()), color=FAINT, linewidth=0.9)
    labels = []
    for row, colour in zip(rows[:named], COLOURS, strict=False):
        rates, values = np.array(list(row.by_rate.items())).T
        axes.plot(rates, values, "o-", color=colour, markersize=4, markerfacecolor="none")
        axes.plot(row.learning_rate, row.by_rate[row.learning_rate], "o", color=colour)
        last = next((value for value in reversed(values) if math.isfinite(value)), 0.0)
        labels.append((last, colour, shortened(", ".join(row.levels.values()) or "all", 26)))
    axes.set_xscale("log")
    if result.metric.percent:
        stretch(axes)
        percent(axes.yaxis)
    # Labels are placed by where lines end on the screen, on any scale.
    ends = axes.transAxes.inverted().transform(
        axes.transData.transform([(1, y) for y, *_ in labels])
    )
    heights = spread([min(height, 0.97) for _, height in ends], 0.065)
    excess = max(0.0, max(heights) - 1.0)
    for (_, colour, label), height in zip(labels, heights, strict=True):
        text(
            axes, 1.02, height - excess, label, color=colour, va="center", transform=axes.transAxes
        )
    tried = sorted({rate for row in rows for rate in row.by_rate})
    if len(tried) <= 12:
        axes.set_xticks(tried, [f"{rate:g}" for rate in tried])
        axes.set_xticks([], minor=True)
    axes.set_xlabel("learning rate" + (" (grey: the other combinations)" if rows[named:] else ""))
    axes.set_ylabel(f"validation {result.metric.name}")
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    return fig
