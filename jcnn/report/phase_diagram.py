"""The phase diagram of mean-field theory: ordered and chaotic phases, and depth scales."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jcnn.report.style import BLUE, GREY, ORANGE, axes_of, figure, text, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.theory import MeanField


def plot_phases(points: "Sequence[MeanField]", critical: float, name: str) -> "Figure":
    """Draw the depth scale and chi over the weight variance, and the critical variance.

    >>> import jax.numpy as jnp
    >>> from jcnn.theory import mean_field
    >>> points = [mean_field(jnp.tanh, weight_variance=w, bias_variance=0.05) for w in (1.2, 2.2)]
    >>> len(plot_phases(points, 1.76, "tanh").axes)
    2
    """
    fig = figure(5.2)
    upper, lower = axes_of(fig, 2, sharex=True)[:, 0]
    weights = [point.weight_variance for point in points]
    depths = [6 * point.correlation_depth for point in points]
    upper.plot(weights, [d if math.isfinite(d) else math.nan for d in depths], color=BLUE)
    upper.set_yscale("log")
    upper.set_ylabel("6 xi_c (layers)")
    title(upper, f"{name}: how deep a network trains")
    lower.plot(weights, [point.chi for point in points], color=ORANGE)
    lower.axhline(1.0, color=GREY, linewidth=0.8)
    lower.set_ylabel("chi_1 (gradient factor squared)")
    lower.set_xlabel(f"weight variance (bias variance {points[0].bias_variance:g})")
    if math.isfinite(critical) and min(weights) <= critical <= max(weights):
        for axes in (upper, lower):
            axes.axvline(critical, color=GREY, linestyle="--", linewidth=0.8)
        low, high = lower.get_ylim()
        text(lower, critical, high, " chaotic", va="top")
        text(lower, critical, high, "ordered ", va="top", ha="right")
        text(lower, critical, low, f" critical at {critical:.4g}", va="bottom")
    return fig
