"""What each level of each factor is worth, averaged over the other factors."""

import math
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from jcnn.analysis.interactions import Interaction, cell_means
from jcnn.analysis.statistics import mean_interval
from jcnn.analysis.text import level_values
from jcnn.report.style import (
    BLUE,
    COLOURS,
    FAINT,
    GREY,
    axes_of,
    figure,
    percent,
    shortened,
    spread,
    text,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study import Result


def plot_effects(result: "Result") -> "Figure | None":
    """A panel a factor: each level's mean over the settings that all levels share.

    Intervals are bootstrapped over seeds. None where no factor has two levels to compare.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> [axes.get_title(loc="left") for axes in plot_effects(result).axes]
    ['hidden']
    """
    rows = result.ranking()
    found = {factor: level_values(result, factor, rows) for factor in result.varied()}
    found = {factor: values for factor, values in found.items() if len(values) > 1}
    if not found:
        return None
    heights = [len(values) + 1.3 for values in found.values()]
    fig = figure(0.26 * sum(heights) + 0.25)
    panels = axes_of(fig, len(found), height_ratios=heights, sharex=True)[:, 0]
    for axes, (factor, values) in zip(panels, found.items(), strict=True):
        means = {name: float(np.nanmean(seeds)) for name, seeds in values.items()}
        order = sorted(means, key=lambda name: result.measure.badness(means[name]))
        for place, name in enumerate(order):
            colour = BLUE if place == 0 else GREY
            interval = mean_interval(values[name])
            if not math.isnan(interval.low):
                axes.plot(interval, [place] * 2, color=colour, linewidth=2.2)
            axes.plot(means[name], place, "o", color=colour, markersize=5)
            shown = result.measure.show(means[name])
            text(axes, 1.015, place, shown, transform=axes.get_yaxis_transform(), va="center")
        names = [shortened(name, 30) for name in order]
        axes.set_yticks(range(len(order)), names, parse_math=False)
        axes.set_ylim(len(order) - 0.4, -0.6)
        title(axes, factor.replace("_", " "), fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
        axes.margins(x=0.06)
        if result.measure.percent:
            percent(axes.xaxis)
    panels[-1].set_xlabel(f"{result.measure.title}, averaged over the other factors")
    return fig


def plot_interaction(result: "Result", one: Interaction) -> "Figure | None":
    """One interaction: a line for each level of `factor`, over the levels of `other`.

    >>> for one in interactions(result):  # doctest: +SKIP
    ...     plot_interaction(result, one).savefig(f"{one.factor}-{one.other}.svg")

    The example is not run with the others: real interactions take many trainings.
    """
    table = cell_means(result, one.factor, one.other)
    if not table:
        return None
    lines = list(dict.fromkeys(level for level, _ in table))
    across = list(dict.fromkeys(level for _, level in table))
    fig = figure(2.4, width=4.2)
    axes = axes_of(fig)[0, 0]
    ends = []
    for level, colour in zip(lines, cycle(COLOURS), strict=False):
        heights = [table.get((level, other), math.nan) for other in across]
        axes.plot(range(len(across)), heights, "o-", color=colour, markersize=4)
        ends.append(next((height for height in reversed(heights) if math.isfinite(height)), 0.0))
    gap = 0.09 * float(np.ptp(axes.get_ylim()))
    for level, colour, height in zip(lines, cycle(COLOURS), spread(ends, gap), strict=False):
        place = axes.get_yaxis_transform()
        text(axes, 1.02, height, shortened(level, 18), color=colour, va="center", transform=place)
    axes.set_xticks(range(len(across)), [shortened(name, 14) for name in across], parse_math=False)
    axes.set_xlim(-0.2, len(across) - 0.8)
    axes.set_xlabel(one.other.replace("_", " "), parse_math=False)
    axes.set_ylabel(result.measure.title)
    if result.measure.percent:
        percent(axes.yaxis)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    return fig
