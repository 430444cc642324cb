"""The loss at each learning rate, as a figure."""

import math
from typing import TYPE_CHECKING

from jcnn.report.style import BLUE, ORANGE, axes_of, figure, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.diagnosis import LearningRateSearch


def plot_rates(search: "LearningRateSearch") -> "Figure":
    """Draw the loss over the learning rate, and the learning rate that was chosen.

    >>> from jcnn.diagnosis import LearningRateSearch
    >>> fig = plot_rates(LearningRateSearch([0.01, 0.1, 1.0], [2.0, 0.5, math.nan], 0.1))
    >>> fig.axes[0].get_xscale()
    'log'
    """
    fig = figure(3.6, width=6.0)
    axes = axes_of(fig)[0, 0]
    axes.plot(search.rates, search.losses, color=BLUE, marker="o")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss at the end")
    finite = [value for value in search.losses if math.isfinite(value)]
    axes.set_ylim(0, 1.2 * finite[0] if finite else 1)
    if not math.isnan(search.rate):
        axes.axvline(search.rate, color=ORANGE, linestyle="--")
        text(axes, search.rate, axes.get_ylim()[1], f" {search.rate:.2g}", va="top", color=ORANGE)
    return fig
