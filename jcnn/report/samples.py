"""Histograms of each activation's values, epoch by epoch."""

from typing import TYPE_CHECKING

import numpy as np

from jcnn.report.style import BLUE, GREY, axes_of, figure, shortened, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study.inspect_model import ModelInspection

_MOST_LAYERS, _MOST_EPOCHS, _BINS = 6, 6, 40


def plot_samples(inspection: "ModelInspection") -> "Figure | None":
    """Draw a panel per layer: histograms of its activations, from the first epoch up to the last.

    If there are many layers or epochs, an evenly spaced subset is drawn. None for a model without
    activations.

    >>> import jcnn
    >>> study = jcnn.Study(factors={"features": [(4,)]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> inspection = jcnn.study.inspect_model(study, study.run())
    >>> [axes.get_title(loc="left") for axes in plot_samples(inspection).axes]
    ['conv1', 'dense_hidden1']
    """
    if not inspection.layers:
        return None
    layers = _evenly(len(inspection.layers), _MOST_LAYERS)
    epochs = _evenly(len(inspection.samples), _MOST_EPOCHS)
    rows = -(-len(layers) // 3)
    across = min(3, len(layers))
    fig = figure(1.8 * rows, width=1.6 * across)
    panels = axes_of(fig, rows, across)
    for axes, layer in zip(panels.flat, layers, strict=False):
        values = [inspection.samples[epoch][layer] for epoch in epochs]
        finite = np.concatenate([v[np.isfinite(v)] for v in values])
        low, high = np.quantile(finite, [0.001, 0.999]) if finite.size else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        for place, sample in enumerate(values):
            counts, _ = np.histogram(np.clip(sample[np.isfinite(sample)], *edges[[0, -1]]), edges)
            heights = 1.7 * np.sqrt(counts / max(counts.max(), 1))
            centres = (edges[:-1] + edges[1:]) / 2
            axes.fill_between(centres, place, place + heights, color=BLUE, alpha=0.3, linewidth=0,
                              zorder=-place)  # fmt: skip
            axes.plot(centres, place + heights, color=BLUE, linewidth=0.8, zorder=-place)
        axes.set_yticks(range(len(epochs)), [str(epoch) for epoch in epochs])
        title(axes, shortened(inspection.layers[layer], 24))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    for axes in panels.flat[len(layers) :]:
        axes.set_axis_off()
    panels[0, 0].set_ylabel("epochs trained", color=GREY)
    for axes in panels[-1]:
        axes.set_xlabel("after the activation", fontsize=7.5)
    return fig


def _evenly(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
