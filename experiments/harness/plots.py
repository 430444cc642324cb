"""A claim's plot: for each criterion the measured value, the bounds, and the null arm."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from jcnn.report.style import BLUE, FAINT, ORANGE, axes_of, figure, plain_numbers, text

# Characters per line at the plot's width.
_LINE_LENGTH = 84
# The axis is logarithmic if the bounds differ by more than this factor.
_LOG_SCALE_RATIO = 30
# A null arm below this value is drawn at the border of a logarithmic axis.
_LOG_SCALE_MINIMUM = 1e-6


def plot_criteria(criteria: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot the criteria of a claim's JSON file, one below the other."""
    titles = [_title(criterion) for criterion in criteria]
    heights = [0.62 + 0.14 * len(lines) for lines in titles]
    fig = figure(sum(heights) + 0.2, width=6.0)
    rows = axes_of(fig, len(criteria), gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, criterion, lines in zip(rows, criteria, titles, strict=True):
        _plot_criterion(axes, criterion)
        title = text(axes, 0, 1.04, "\n".join(lines), transform=axes.transAxes)
        title.set_clip_on(False)
    # Text as text, no date and a fixed salt keep the files small and stable.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": path.stem}
    with matplotlib.rc_context(settings):
        fig.savefig(path, metadata={"Date": None})


def _title(criterion: Mapping[str, Any]) -> list[str]:
    null = "" if criterion["null"] is None else f" (null: {criterion['null']:.3g})"
    return textwrap.wrap(f"{criterion['figure']}{null}", _LINE_LENGTH)


def _plot_criterion(axes: Any, criterion: Mapping[str, Any]) -> None:
    mean, null = criterion["mean"], criterion["null"]
    interval = [bound for bound in criterion["interval"].values() if bound is not None]
    bounds = [bound for bound in (criterion["low"], criterion["high"]) if bound is not None]
    if len(bounds) == 2 and bounds[0] > 0 and bounds[1] / bounds[0] > _LOG_SCALE_RATIO:
        values = [value for value in (*bounds, mean, null) if value is not None]
        low, high = max(min(values), _LOG_SCALE_MINIMUM) / 3, max(values) * 3
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
    else:
        # A distant bound or null arm would squeeze the rest: it is drawn at the border instead.
        width = max(bounds) - min(bounds) or abs((mean or 0) - bounds[0]) or 1.0
        values = bounds if mean is None else [*bounds, mean]
        low, high = min(values) - 1.5 * width, max(values) + 1.5 * width
    begin = low if criterion["low"] is None else max(criterion["low"], low)
    end = high if criterion["high"] is None else min(criterion["high"], high)
    axes.axvspan(begin, end, color=FAINT, linewidth=0)
    if len(interval) == 2:
        axes.plot([min(max(bound, low), high) for bound in interval], [0, 0], color=BLUE, lw=2)
    if mean is not None:
        axes.plot(min(max(mean, low), high), 0, "o", color=BLUE, clip_on=False)
    if null is not None:
        axes.plot(min(max(null, low), high), 0, "x", color=ORANGE, clip_on=False)
    axes.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
