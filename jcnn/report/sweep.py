"""How a training's cost grows, as a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

_LABELS = {"runs": "runs trained together", "width": "channels, times", "batch": "batch size"}


def plot_sweep(sweep: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> Any:
    """A `matplotlib` figure: rate above, memory below, a column for each quantity that grew.

    `sweep` maps "runs", "width" and "batch" to points with `value`, `steps_per_second` (of all
    models together; `low` and `high` are its quartiles) and `megabytes` of a device.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = Figure(figsize=(3.4 * len(sweep), 5.2), layout="constrained")
    axes = figure.subplots(2, len(sweep), sharex="col", sharey="row", squeeze=False)
    for (name, points), (above, below) in zip(sweep.items(), axes.T, strict=True):
        values = [point["value"] for point in points]
        rates = [point["steps_per_second"] for point in points]
        above.fill_between(
            values, [p["low"] for p in points], [p["high"] for p in points], alpha=0.25, lw=0
        )
        above.plot(values, rates, marker="o")
        below.plot(values, [point["megabytes"] for point in points], marker="o", color="#b5651d")
        for axis in (above, below):
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.grid(True, which="major", alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
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
    axes[1, 0].set_ylabel("memory of a device, MB")
    figure.suptitle(title, fontsize=11)
    return figure
