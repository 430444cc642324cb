"""A claim's figure: of each criterion what was measured, what was wanted, and the null arm."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from jcnn.report.style import BLUE, FAINT, ORANGE, axes_of, figure, plain_numbers, text

# Letters that a line of the figure's width holds.
_WIDTH = 84
# Where the bounds are more than so many times apart, the axis is logarithmic.
_FAR = 30
# A null arm that is smaller than its axis shows is drawn at its border.
_LEAST = 1e-6


def draw(criteria: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw criteria, as a claim's JSON file has them, one below the other."""
    names = [_name(one) for one in criteria]
    heights = [0.62 + 0.14 * len(lines) for lines in names]
    fig = figure(sum(heights) + 0.2, width=6.0)
    rows = axes_of(fig, len(criteria), gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, one, lines in zip(rows, criteria, names, strict=True):
        _draw_one(axes, one)
        words = text(axes, 0, 1.04, "\n".join(lines), transform=axes.transAxes)
        words.set_clip_on(False)
    # Letters as letters and no date: small files, the same for the same figures.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": path.stem}
    with matplotlib.rc_context(settings):
        fig.savefig(path, metadata={"Date": None})


def _name(one: Mapping[str, Any]) -> list[str]:
    null = "" if one["null"] is None else f" (null: {one['null']:.3g})"
    return textwrap.wrap(f"{one['figure']}{null}", _WIDTH)


def _draw_one(axes: Any, one: Mapping[str, Any]) -> None:
    mean, null = one["mean"], one["null"]
    interval = [bound for bound in one["interval"].values() if bound is not None]
    finite = [bound for bound in (one["low"], one["high"]) if bound is not None]
    if len(finite) == 2 and finite[0] > 0 and finite[1] / finite[0] > _FAR:
        known = [value for value in (*finite, mean, null) if value is not None]
        low, high = max(min(known), _LEAST) / 3, max(known) * 3
        axes.set_xscale("log")
        plain_numbers(axes.xaxis)
    else:
        # A bound or null arm far off would leave nothing to see: it stands at the border.
        width = max(finite) - min(finite) or abs((mean or 0) - finite[0]) or 1.0
        around = finite if mean is None else [*finite, mean]
        low, high = min(around) - 1.5 * width, max(around) + 1.5 * width
    begin = low if one["low"] is None else max(one["low"], low)
    end = high if one["high"] is None else min(one["high"], high)
    axes.axvspan(begin, end, color=FAINT, linewidth=0)
    if len(interval) == 2:
        axes.plot([min(max(bound, low), high) for bound in interval], [0, 0], color=BLUE, lw=2)
    if mean is not None:
        axes.plot(min(max(mean, low), high), 0, "o", color=BLUE, clip_on=False)
    if null is not None:
        axes.plot(min(max(null, low), high), 0, "x", color=ORANGE, clip_on=False)
    axes.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
    axes.spines["left"].set_visible(False)
