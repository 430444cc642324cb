"""Gradients at each layer of untrained networks, measured and predicted by theory."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jcnn.report.style import (
    COLOURS,
    FAINT,
    axes_of,
    figure,
    plain_numbers,
    shortened,
    spread,
    text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.diagnosis import Diagnosis, MeanFieldPrediction


def plot_gradients(
    networks: "Mapping[str, tuple[Diagnosis, MeanFieldPrediction | None]]",
) -> "Figure":
    """Draw |dL/dh| at each layer's output: measured values as dots, predictions as lines.

    `networks` maps the name of each network to its diagnosis, and its prediction or None.

    >>> import jax, jax.numpy as jnp, jcnn
    >>> from flax import nnx
    >>> model = jcnn.models.mlp((16,), 2, rngs=nnx.Rngs(0))
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 2
    >>> fig = plot_gradients({"mlp": (jcnn.diagnose(model, x, labels), None)})
    >>> fig.axes[0].get_yscale()
    'log'
    """
    fig = figure(3.0)
    axes = axes_of(fig)[0, 0]
    labels = []
    longest: list[str] = []
    for colour, (name, (diagnosis, prediction)) in zip(COLOURS, networks.items(), strict=False):
        gradients = np.array([layer.gradient for layer in diagnosis.layers], float)
        places = np.arange(len(gradients))
        gradients[gradients <= 0] = np.nan
        axes.plot(places, gradients, "o", color=colour, markersize=5)
        if prediction is not None:
            expected = np.array(prediction.gradient, float)
            axes.plot(places, np.where(expected > 0, expected, np.nan), "-", color=colour)
        finite = gradients[np.isfinite(gradients)]
        labels.append((finite[-1] if len(finite) else 1.0, colour, name))
        if len(gradients) > len(longest):
            longest = [layer.name for layer in diagnosis.layers]
    axes.set_yscale("log")
    plain_numbers(axes.yaxis)
    low, high = np.log10(axes.get_ylim())
    heights = spread([float(np.log10(height)) for height, _, _ in labels], 0.08 * (high - low))
    for (_, colour, name), height in zip(labels, heights, strict=True):
        text(axes, 1.02, 10**height, shortened(name, 26), color=colour, va="center",
             transform=axes.get_yaxis_transform())  # fmt: skip
    steps = max(1, -(-len(longest) // 10))
    names = [shortened(name, 14) for name in longest[::steps]]
    axes.set_xticks(range(0, len(longest), steps), names, rotation=35, ha="right",
                    parse_math=False)  # fmt: skip
    axes.set_ylabel("|dL/dh| before training")
    axes.set_xlabel("layers from the input; dots: measured, lines: predicted by theory")
    axes.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    return fig
