"""How jcnn's figures look, and how they become part of a page.

Colours are Okabe and Ito's (2008), which people who are colour-blind tell apart.
"""

import html
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#e69f00",
)
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, YELLOW)
INK, GREY, FAINT = "#20242a", "#7b828c", "#c9ced6"
# A page has these in its style sheet, in a light and a dark form.
_IN_PAGE = {
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PINK: "var(--pink)",
    SKY: "var(--sky)",
    YELLOW: "var(--yellow)",
    INK: "var(--ink)",
    GREY: "var(--grey)",
    FAINT: "var(--faint)",
}
# Inches: words of 8 points can be read on a telephone still, which shows four fifths of it.
WIDTH = 4.8


def figure(height: float, *, width: float = WIDTH, margins: Sequence[float] = ()) -> "Figure":
    """An empty figure in inches, which `axes_of` fills.

    `margins` are those at the left, the bottom, the right and the top, also in inches; without them
    words decide, which takes longer to draw.
    """
    from matplotlib.figure import Figure

    if not margins:
        return Figure(figsize=(width, height), layout="constrained")
    fig = Figure(figsize=(width, height))
    left, bottom, right, top = margins
    fig.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return fig


def axes_of(fig: "Figure", rows: int = 1, columns: int = 1, **keywords: Any) -> Any:
    """Axes `(rows, columns)` without frames, labels in ink, and ticks in grey."""
    found = fig.subplots(rows, columns, squeeze=False, **keywords)
    for axes in found.flat:
        plain(axes)
    return found


def plain(axes: Any) -> None:
    """Take the frame away that says nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
        label.set_size(8)


def title(axes: Any, words: str, **keywords: Any) -> None:
    """A heading at the left of some axes, in words as they are given."""
    given = {"loc": "left", "color": INK, "fontsize": 8.5, "parse_math": False} | keywords
    axes.set_title(words, **given)


def plain_numbers(axis: Any) -> None:
    """A logarithmic axis whose ticks read 0.001 rather than a power in a formula."""
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")


# What still shows of an accuracy of 1 on a scale that stretches towards it.
_LEAST_ERROR = 0.002
_TICKS = (0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)


def stretch(axes: Any) -> None:
    """Let an axis of accuracies stretch towards 100%: it is even in the logarithm of the error."""

    def forward(value: Any) -> Any:
        return -np.log10(np.clip(1 - np.asarray(value, float), 0, None) + _LEAST_ERROR)

    def back(value: Any) -> Any:
        return 1 + _LEAST_ERROR - 10 ** -np.asarray(value, float)

    low, high = axes.dataLim.intervaly
    low, high = max(low - 0.02, 0.0), min(1 - 0.7 * (1 - high), 1.0)
    axes.set_yscale("function", functions=(forward, back))
    axes.set_ylim(low, high)
    axes.set_yticks([tick for tick in _TICKS if low <= tick <= high])
    axes.minorticks_off()


def percent(axis: Any) -> None:
    """Ticks that are shares, as percentages."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def text(axes: Any, x: float | int, y: float | int, words: str, **keywords: Any) -> Any:
    """Words on a figure as they are given: a dollar sign begins no formula."""
    return axes.text(x, y, words, **{"color": INK, "fontsize": 8, "parse_math": False} | keywords)


def shortened(words: str, most: int) -> str:
    """Words of at most so many letters, the middle left out where there are more."""
    if len(words) <= most:
        return words
    tail = (most - 1) // 3
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights near those given, at least `gap` apart, for labels that would cover each other."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    found = [float(one) for one in heights]
    for _ in range(200):
        moved = False
        for low, high in itertools.pairwise(order):
            lack = gap - (found[high] - found[low])
            if lack > 1e-9:
                found[low] -= lack / 2
                found[high] += lack / 2
                moved = True
        if not moved:
            break
    return found


def save(fig: "Figure", path: str | Path) -> None:
    """Write a figure; the file's ending (.svg, .png, .pdf) is its format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(figure(2.0), f"{folder}/empty.svg")
    ...     Path(folder, "empty.svg").read_text().startswith("<?xml")
    True
    """
    fig.savefig(path, dpi=150)


def inline_svg(fig: "Figure", label: str) -> str:
    """A figure as an SVG element whose colours are the page's, read aloud as `label`."""
    import matplotlib

    file = io.BytesIO()
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": label,
        "font.family": "sans-serif",
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        fig.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, name in _IN_PAGE.items():
        svg = svg.replace(colour, name)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "var(--sans)", svg)
    head = f'<svg role="img" aria-label="{html.escape(label)}"'
    return re.sub(r"\n\s*", "\n", svg.replace("<svg", head, 1))
