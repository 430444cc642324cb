"""The ranking as a figure: the mean of every combination with its interval and its seeds."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jcnn.report.style import BLUE, FAINT, GREY, INK, axes_of, figure, percent, shortened, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study import Result, Row

MOST = 20
# Values behind the best by this many times the spread of the better half are drawn at the border.
_FAR = 3.0


def plot_ranking(result: "Result", *, most: int = MOST) -> "Figure":
    """Draw the `most` best combinations: mean, its 95% interval, and a tick per seed.

    Combinations that may be the best are blue, those that are ruled out grey. The band reaches from
    the first mean to the most that another combination may have. Means far behind the better half
    are drawn at the border, with their number.

    >>> import jcnn
    >>> factors, rates = {"hidden": [(8,), (16,)]}, [0.1, 0.3]
    >>> study = jcnn.Study(model="mlp", factors=factors, learning_rates=rates, seeds=2, epochs=1)
    >>> result = study.run()
    >>> len(plot_ranking(result).axes[0].get_yticklabels())
    2
    """
    rows = [row for row in result.answer.rows if math.isfinite(row.mean)]
    shown = rows[:most]
    left_out = len(rows) - len(shown)
    fig = figure(0.75 + 0.24 * max(len(shown), 1))
    axes = axes_of(fig)[0, 0]
    if not shown:
        text(axes, 0.5, 0.5, "no combination was trained to the end", ha="center")
        axes.set_axis_off()
        return fig
    worse = result.answer.ruled_out
    low, high = _limits(shown, result.metric.higher_is_better)
    reach = result.bound
    if reach > 0:
        first = shown[0].mean
        better = first + result.metric.sign * reach
        low, high = min(low, better), max(high, better)
        axes.axvspan(first, better, color=BLUE, alpha=0.1, linewidth=0, zorder=0)
    for place, row in enumerate(shown):
        colour = GREY if row.combination in worse else BLUE
        value = result.metric.show(row.mean)
        inside = low <= row.mean <= high
        if inside:
            interval = row.interval
            seeds = [v for v in row.values if low <= v <= high]
            axes.plot(seeds, [place] * len(seeds), "|", color=FAINT, markersize=9)
            if not math.isnan(interval.low):
                ends = [max(interval.low, low), min(interval.high, high)]
                axes.plot(ends, [place] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(row.mean, place, "o", color=colour, markersize=5)
        else:
            edge, marker = (low, "<") if row.mean < low else (high, ">")
            axes.plot(edge, place, marker, color=colour, markersize=5, clip_on=False)
        text(axes, 1.015, place, value, transform=axes.get_yaxis_transform(), va="center")
    names = [shortened(", ".join(row.levels.values()) or "all", 32) for row in shown]
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    if result.metric.percent:
        percent(axes.xaxis)
    beyond = f"; {left_out} more below" if left_out else ""
    axes.set_xlabel(f"{result.metric.title}: mean, 95% interval, seeds{beyond}")
    return fig


def _limits(rows: Sequence["Row"], higher_is_better: bool) -> tuple[float, float]:
    """The range of the axis: all values, or the better half and its surroundings."""
    points = _points(rows)
    low, high = min(points), max(points)
    half = _points(rows[: max(2, math.ceil(len(rows) / 2))])
    reach = _FAR * (max(half) - min(half))
    if reach and higher_is_better:
        low = min(v for v in points if v >= max(half) - reach)
    elif reach:
        high = max(v for v in points if v <= min(half) + reach)
    margin = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
    return low - margin, high + margin


def _points(rows: Sequence["Row"]) -> list[float]:
    """Every finite value that is drawn for these rows."""
    return [v for row in rows for v in (*row.values, *row.interval) if math.isfinite(v)]
