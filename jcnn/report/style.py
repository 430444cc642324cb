"""The style of jcnn's figures, and how they are embedded in a page.

Colours are from Okabe and Ito (2008), whose palette is safe for colour-blind readers.
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
# CSS variables of the page, each with a light and a dark value.
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
# Inches; a telephone shows this width at 80%, at which text of 8 points is still readable.
WIDTH = 4.8


def figure(height: float, *, width: float = WIDTH, margins: Sequence[float] = ()) -> "Figure":
    """An empty figure with its size in inches; `axes_of` adds axes.

    `margins` are left, bottom, right and top, in inches. Without them a layout that measures all
    text is used, which takes longer to draw.
    """
    from matplotlib.figure import Figure

    if not margins:
        return Figure(figsize=(width, height), layout="constrained")
    fig = Figure(figsize=(width, height))
    left, bottom, right, top = margins
    fig.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)
    return fig


def axes_of(fig: "Figure", rows: int = 1, columns: int = 1, **keywords: Any) -> Any:
    """Add an array of axes `(rows, columns)` without frames."""
    grid = fig.subplots(rows, columns, squeeze=False, **keywords)
    for axes in grid.flat:
        plain(axes)
    return grid


def plain(axes: Any) -> None:
    """Remove the frame at the top and the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelcolor=INK, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
        label.set_size(8)


def title(axes: Any, words: str, **keywords: Any) -> None:
    """Set a title at the left, without interpreting dollar signs as formulas."""
    style = {"loc": "left", "color": INK, "fontsize": 8.5, "parse_math": False} | keywords
    axes.set_title(words, **style)


def plain_numbers(axis: Any) -> None:
    """Format the ticks of a logarithmic axis as 0.001 instead of as powers."""
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")


# The error at which the scale of `stretch` ends, so that an accuracy of 1 can be drawn.
_LEAST_ERROR = 0.002
_TICKS = (0, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)


def stretch(axes: Any) -> None:
    """Use a scale for accuracies that is linear in the logarithm of the error."""

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
    """Format the ticks of an axis as percentages."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def text(axes: Any, x: float | int, y: float | int, words: str, **keywords: Any) -> Any:
    """Write text without interpreting dollar signs as formulas."""
    return axes.text(x, y, words, **{"color": INK, "fontsize": 8, "parse_math": False} | keywords)


def shortened(words: str, most: int) -> str:
    """Shorten `words` to at most `most` characters by leaving out the middle."""
    if len(words) <= most:
        return words
    tail = (most - 1) // 3
    return f"{words[: most - 1 - tail]}…{words[len(words) - tail :]}"


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart to a distance of at least `gap`, so that labels do not overlap."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    places = [float(height) for height in heights]
    for _ in range(200):
        moved = False
        for low, high in itertools.pairwise(order):
            lack = gap - (places[high] - places[low])
            if lack > 1e-9:
                places[low] -= lack / 2
                places[high] += lack / 2
                moved = True
        if not moved:
            break
    return places


def save(fig: "Figure", path: str | Path) -> None:
    """Write a figure; the suffix (.svg, .png, .pdf) selects the format.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(figure(2.0), f"{folder}/empty.svg")
    ...     Path(folder, "empty.svg").read_text().startswith("<?xml")
    True
    """
    fig.savefig(path, dpi=150)


def inline_svg(fig: "Figure", label: str) -> str:
    """A figure as an SVG element in the colours of the page; `label` is its accessible name."""
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
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "var(--sans)", svg)
    head = f'<svg role="img" aria-label="{html.escape(label)}"'
    return re.sub(r"\n\s*", "\n", svg.replace("<svg", head, 1))
