"""The phase diagram of mean-field theory: where signals keep their distance, and for how long."""

import math
from collections.abc import Sequence
from pathlib import Path

from jcnn.theory import MeanField


def plot_phases(found: Sequence[MeanField], critical: float, name: str, path: Path) -> None:
    """Draw the depth scale and chi over the weight variance; the file's ending is its format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    weights = [one.weight_variance for one in found]
    depths = [6 * one.correlation_depth for one in found]
    upper.plot(weights, [d if math.isfinite(d) else math.nan for d in depths], color="#0072b2")
    upper.set_yscale("log")
    upper.set_ylabel("6 xi_c (layers)")
    upper.set_title(f"{name}: how deep a network trains", loc="left")
    lower.plot(weights, [one.chi for one in found], color="#d55e00")
    lower.axhline(1.0, color="0.6", linewidth=0.8)
    lower.set_ylabel("chi_1 (gradient factor squared)")
    lower.set_xlabel(f"weight variance (bias variance {found[0].bias_variance:g})")
    if math.isfinite(critical) and min(weights) <= critical <= max(weights):
        for axes in (upper, lower):
            axes.axvline(critical, color="0.4", linestyle="--", linewidth=0.8)
        low, high = lower.get_ylim()
        lower.text(critical, high, " chaotic", va="top", color="0.3")
        lower.text(critical, high, "ordered ", va="top", ha="right", color="0.3")
        lower.text(critical, low, f" critical at {critical:.4g}", va="bottom", color="0.3")
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
