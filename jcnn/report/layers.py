"""The history of each layer over a training, as heat maps of layers by steps."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jcnn.report.style import FAINT, GREY, INK, axes_of, figure, plain_numbers
from jcnn.report.style import title as heading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.diagnosis import LayerHistory

# Figure, title, whether on a logarithmic scale.
_PANELS = (
    ("gradient", "gradient |dL/dh|", True),
    ("saturated", "saturated elements", False),
    ("dead", "dead units", False),
    ("update_ratio", "update over weight", True),
)


def plot_layers(history: "LayerHistory", title: str = "") -> "Figure":
    """Plot layers by steps, with one panel for each figure that is not 0 everywhere.

    `history` is what `jcnn.study.Result.history` returns.

    >>> from jcnn.diagnosis.history import FIGURES, LayerHistory
    >>> history = LayerHistory(layers=["conv", "dense"], activations=["relu", None])
    >>> rows = {name: [[0.1, 0.2], [0.3, 0.4]] for name in FIGURES}
    >>> fig = plot_layers(history.extended([0, 20], rows))
    >>> len(fig.axes)  # four panels, each with its colour scale
    8
    """
    from matplotlib.colors import LogNorm, Normalize

    layers, steps = history.layers, history.steps
    values = {name: np.asarray(getattr(history, name), float).T for name, _, _ in _PANELS}
    # A panel of zeros would say nothing.
    panels = [panel for panel in _PANELS if (np.nan_to_num(values[panel[0]]) != 0).any()]
    height = max(1.1, 0.17 * len(layers) + 0.5)
    fig = figure(height * len(panels) + 0.6)
    rows = axes_of(fig, len(panels), sharex=True)[:, 0]
    gap = steps[1] - steps[0] if len(steps) > 1 else 1
    edges = [*steps, steps[-1] + gap]
    every = max(1, -(-len(layers) // 16))
    for axes, (name, label, logarithmic) in zip(rows, panels, strict=True):
        shown = values[name]
        norm: Any = Normalize(0, 1)
        if logarithmic:
            shown = np.where(shown > 0, shown, np.nan)
            some = np.isfinite(shown).any()
            norm = LogNorm(np.nanmin(shown), np.nanmax(shown)) if some else norm
        mesh = axes.pcolormesh(
            edges, np.arange(len(layers) + 1), shown, norm=norm, cmap="viridis", rasterized=True
        )
        axes.set_yticks(np.arange(len(layers))[::every] + 0.5, layers[::every], parse_math=False)
        axes.set_facecolor(FAINT)
        bar = fig.colorbar(mesh, ax=axes, pad=0.01)
        bar.ax.tick_params(labelsize=7, colors=GREY, labelcolor=INK)
        bar.outline.set_visible(False)
        if logarithmic:
            plain_numbers(bar.ax.yaxis)
        heading(axes, label)
    rows[-1].set_xlabel("step (layers: input below, output above; grey: none)")
    if title:
        fig.suptitle(title, fontsize=9, parse_math=False)
    return fig
