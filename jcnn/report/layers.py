"""What each layer went through in a training, as heat maps of layer by step."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Column, title, whether on a logarithmic scale.
_PANELS = (
    ("gradient", "gradient |dL/dh|", True),
    ("saturated", "saturated elements", False),
    ("dead", "dead units", False),
    ("update_ratio", "update over weight", True),
)


def plot_layers(followed: Mapping[str, Any], title: str, path: Path) -> None:
    """Draw a panel for each figure that is known; the file's ending is its format.

    `followed` is what `jcnn.study.Result.followed` gives.
    """
    import numpy as np
    from matplotlib.colors import LogNorm, Normalize
    from matplotlib.figure import Figure

    layers, steps = followed["layers"], followed["steps"]
    values = {name: np.asarray(followed[name], float).T for name, _, _ in _PANELS}
    panels = [panel for panel in _PANELS if np.isfinite(values[panel[0]]).any()]
    height = max(1.3, 0.18 * len(layers) + 0.6)
    figure = Figure(figsize=(8, height * len(panels) + 0.8), layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    gap = steps[1] - steps[0] if len(steps) > 1 else 1
    edges = [*steps, steps[-1] + gap]
    for axes, (name, label, logarithmic) in zip(rows, panels, strict=True):
        shown = values[name]
        norm: Any = Normalize(0, 1)
        if logarithmic:
            shown = np.where(shown > 0, shown, np.nan)
            some = np.isfinite(shown).any()
            norm = LogNorm(np.nanmin(shown), np.nanmax(shown)) if some else norm
        mesh = axes.pcolormesh(edges, np.arange(len(layers) + 1), shown, norm=norm, cmap="viridis")
        axes.set_yticks(np.arange(len(layers)) + 0.5, layers, fontsize=8)
        axes.set_facecolor("0.85")
        figure.colorbar(mesh, ax=axes, label=label)
    rows[-1].set_xlabel("step (layers from the input, below, to the output; grey: none)")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=150)
