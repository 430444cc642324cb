"""The speed and memory of training as it grows, as a figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jcnn.report.style import BLUE, FAINT, YELLOW, axes_of, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABELS = {"runs": "runs trained together", "width": "channels, factor", "batch": "batch size"}


def plot_sweep(sweep: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> "Figure":
    """Draw speed above and memory below, with one column per quantity that grows.

    `sweep` maps "runs", "width" and "batch" to points with `value`, `steps_per_second` (of all
    models together, with quartiles `low` and `high`) and `megabytes` per device.

    >>> rates = {"steps_per_second": 100.0, "low": 90.0, "high": 110.0, "megabytes": 5.0}
    >>> points = [{"value": 1.0, **rates}, {"value": 2.0, **rates}]
    >>> len(plot_sweep({"runs": points}, "a device").axes)
    2
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    fig = figure(5.2, width=3.4 * len(sweep))
    axes = axes_of(fig, 2, len(sweep), sharex="col", sharey="row")
    for (name, points), (above, below) in zip(sweep.items(), axes.T, strict=True):
        values = [point["value"] for point in points]
        rates = [point["steps_per_second"] for point in points]
        above.fill_between(
            values,
            [p["low"] for p in points],
            [p["high"] for p in points],
            color=BLUE,
            alpha=0.25,
            lw=0,
        )
        above.plot(values, rates, marker="o", color=BLUE)
        below.plot(values, [point["megabytes"] for point in points], marker="o", color=YELLOW)
        for axis in (above, below):
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.grid(True, which="major", color=FAINT, alpha=0.6)
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,g}"))
            for line in axis.get_lines():
                for value, height in line.get_xydata():
                    axis.annotate(
                        f"{height:,.0f}" if height >= 100 else f"{height:.3g}",
                        (value, height),
                        textcoords="offset points",
                        xytext=(0, 7),
                        ha="center",
                        fontsize=8,
                    )
            axis.margins(x=0.1, y=0.12)
        below.set_xticks(values, [f"{value:g}" for value in values])
        below.set_xlabel(_LABELS.get(name, name))
    axes[0, 0].set_ylabel("model steps per second")
    axes[1, 0].set_ylabel("memory per device, MB")
    fig.suptitle(title, fontsize=11)
    return fig
