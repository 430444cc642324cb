"""Figures of effects and interactions: the levels of factors, averaged over the others."""

import math
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from jcnn.analysis.effects import cell_means
from jcnn.analysis.gains import Interaction
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
    """Draw a panel per factor: the mean of each level over the settings that all levels share.

    Intervals are Student's t over seeds. None if no factor has two levels to compare.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> [axes.get_title(loc="left") for axes in plot_effects(result).axes]
    ['hidden']
    """
    effects = [effect for effect in result.answer.effects if len(effect.levels) > 1]
    if not effects:
        return None
    metric = result.metric
    heights = [len(effect.levels) + 1.3 for effect in effects]
    fig = figure(0.26 * sum(heights) + 0.25)
    panels = axes_of(fig, len(effects), height_ratios=heights, sharex=True)[:, 0]
    for axes, effect in zip(panels, effects, strict=True):
        for place, level in enumerate(effect.levels):
            colour = BLUE if place == 0 else GREY
            if math.isfinite(level.interval.low):
                axes.plot(level.interval, [place] * 2, color=colour, linewidth=2.2)
            axes.plot(level.mean, place, "o", color=colour, markersize=5)
            shown = metric.show(level.mean)
            text(axes, 1.015, place, shown, transform=axes.get_yaxis_transform(), va="center")
        names = [shortened(level.name, 30) for level in effect.levels]
        axes.set_yticks(range(len(names)), names, parse_math=False)
        axes.set_ylim(len(names) - 0.4, -0.6)
        title(axes, effect.factor.replace("_", " "), fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
        axes.margins(x=0.06)
        if metric.percent:
            percent(axes.xaxis)
    panels[-1].set_xlabel(f"{metric.title}, averaged over the other factors")
    return fig


def plot_interaction(result: "Result", interaction: Interaction) -> "Figure | None":
    """Draw one interaction: a line per level of `factor`, over the levels of `other`.

    None if no pair of levels was trained to the end.

    >>> for interaction in result.answer.interactions:  # doctest: +SKIP
    ...     plot_interaction(result, interaction).savefig(f"{interaction.factor}.svg")

    The example is skipped because real interactions take many trainings.
    """
    factor, other = interaction.factor, interaction.other
    means = [(row.levels, row.mean) for row in result.answer.rows]
    table = cell_means(result.combinations, means, factor, other)
    if not table:
        return None
    lines = list(dict.fromkeys(level for level, _ in table))
    across = list(dict.fromkeys(level for _, level in table))
    fig = figure(2.4, width=4.2)
    axes = axes_of(fig)[0, 0]
    ends = []
    for level, colour in zip(lines, cycle(COLOURS), strict=False):
        heights = [table.get((level, column), math.nan) for column in across]
        axes.plot(range(len(across)), heights, "o-", color=colour, markersize=4)
        ends.append(next((height for height in reversed(heights) if math.isfinite(height)), 0.0))
    gap = 0.09 * float(np.ptp(axes.get_ylim()))
    for level, colour, height in zip(lines, cycle(COLOURS), spread(ends, gap), strict=False):
        place = axes.get_yaxis_transform()
        text(axes, 1.02, height, shortened(level, 18), color=colour, va="center", transform=place)
    axes.set_xticks(range(len(across)), [shortened(name, 14) for name in across], parse_math=False)
    axes.set_xlim(-0.2, len(across) - 0.8)
    axes.set_xlabel(other.replace("_", " "), parse_math=False)
    axes.set_ylabel(result.metric.title)
    if result.metric.percent:
        percent(axes.yaxis)
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    return fig
