"""How the values of each activation are spread, from epoch to epoch."""

from typing import TYPE_CHECKING

import numpy as np

from jcnn.report.style import BLUE, GREY, axes_of, figure, shortened, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study.inspect_model import Portrait

_MOST_LAYERS, _MOST_EPOCHS, _BINS = 6, 6, 40


def plot_samples(one: "Portrait") -> "Figure | None":
    """A panel a layer: histograms of its activations, the first epoch's below and the last's above.

    Layers and epochs are evenly chosen where there are many. None for a model without activations.

    >>> import jcnn
    >>> study = jcnn.Study(factors={"features": [(4,)]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> one = jcnn.study.look_into(study, study.run()).portrait
    >>> [axes.get_title(loc="left") for axes in plot_samples(one).axes]
    ['conv1', 'dense_hidden1']
    """
    if not one.layers:
        return None
    layers = _evenly(len(one.layers), _MOST_LAYERS)
    epochs = _evenly(len(one.samples), _MOST_EPOCHS)
    rows = -(-len(layers) // 3)
    across = min(3, len(layers))
    fig = figure(1.8 * rows, width=1.6 * across)
    panels = axes_of(fig, rows, across)
    for axes, layer in zip(panels.flat, layers, strict=False):
        values = [one.samples[epoch][layer] for epoch in epochs]
        finite = np.concatenate([v[np.isfinite(v)] for v in values])
        low, high = np.quantile(finite, [0.001, 0.999]) if finite.size else (0.0, 1.0)
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        for place, own in enumerate(values):
            counts, _ = np.histogram(np.clip(own[np.isfinite(own)], *edges[[0, -1]]), edges)
            heights = 1.7 * np.sqrt(counts / max(counts.max(), 1))
            centres = (edges[:-1] + edges[1:]) / 2
            axes.fill_between(centres, place, place + heights, color=BLUE, alpha=0.3, linewidth=0,
                              zorder=-place)  # fmt: skip
            axes.plot(centres, place + heights, color=BLUE, linewidth=0.8, zorder=-place)
        axes.set_yticks(range(len(epochs)), [str(epoch) for epoch in epochs])
        title(axes, shortened(one.layers[layer], 24))
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
