"""What the loss came to at each learning rate, as a figure."""

import math
from pathlib import Path

from jcnn.diagnosis import FoundRate


def plot_rates(found: FoundRate, path: Path) -> None:
    """Draw the loss over the rate, and the rate found; the file's ending is its format."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="#0072b2", marker="o")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss at the end")
    finite = [value for value in found.losses if math.isfinite(value)]
    axes.set_ylim(0, 1.2 * finite[0] if finite else 1)
    if not math.isnan(found.rate):
        axes.axvline(found.rate, color="#d55e00", linestyle="--")
        axes.text(found.rate, axes.get_ylim()[1], f" {found.rate:.2g}", va="top", color="#d55e00")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
