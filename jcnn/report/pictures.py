"""Pictures of the best network: filters, feature maps, and the examples it gets wrong.

>>> import jcnn
>>> study = jcnn.Study(factors={"features": [(4,)]}, learning_rates=[0.1], seeds=1, epochs=1)
>>> inspection = jcnn.study.inspect_model(study, study.run())
>>> for plot in (plot_confusion, plot_confused, plot_filters, plot_stages, plot_poolings):
...     plot(inspection).savefig("/dev/null", format="svg")
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jcnn import pooling
from jcnn.report.style import FAINT, GREY, INK, WIDTH, axes_of, figure, shortened, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study.inspect_model import ModelInspection

# The number of channels drawn per layer, and of pictures per row.
CHANNELS, ACROSS = 7, 8
POOLINGS: dict[str, Callable[..., Any]] = {
    "max": pooling.max_pool,
    "average": pooling.avg_pool,
    "L2 norm": pooling.l2_pool,
    "weighted average": pooling.weighted_avg_pool,
}


WINDOWS: dict[str, Any] = {"window_shape": (3, 3), "strides": (2, 2), "padding": "SAME"}


def plot_confusion(inspection: "ModelInspection") -> "Figure | None":
    """Draw the confusion matrix of the test examples: true classes are rows.

    None for regression.
    """
    classes = inspection.dataset.classes
    if classes is None:
        return None
    counts = inspection.confusion()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(classes)
    side = min(WIDTH, max(2.6, 0.3 * size + 0.9))
    fig = figure(0.94 * side, width=side)
    axes = axes_of(fig)[0, 0]
    # Only mistakes are coloured: the diagonal has most examples and would hide them.
    wrong = np.where(np.eye(size, dtype=bool), 0, shares)
    axes.imshow(wrong, cmap=_transparent("#d55e00"), vmin=0, vmax=max(wrong.max(), 1e-9))
    if size <= 15:
        for i, j in np.ndindex(size, size):
            if counts[i, j]:
                weight = "bold" if i != j else "normal"
                colour = INK if i != j else GREY
                text(axes, j, i, str(counts[i, j]), ha="center", va="center", color=colour,
                     fontweight=weight)  # fmt: skip
    ticks = range(size) if size <= 30 else []
    names = [shortened(str(name), 12) for name in classes] if size <= 30 else []
    axes.set_xticks(ticks, names, rotation=0 if max(map(len, names), default=0) < 4 else 60,
                    parse_math=False)  # fmt: skip
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=FAINT, linewidth=0.4)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return fig


def plot_confused(inspection: "ModelInspection", *, most: int = 12) -> "Figure | None":
    """Draw the most confident mistakes on the test set; None if there are none to draw."""
    if inspection.dataset.classes is None or picture(inspection.dataset.test_inputs[0]) is None:
        return None
    indices = inspection.most_confused(most)
    if not indices:
        return None
    probabilities, classes = inspection.probabilities(), inspection.dataset.classes
    grid = _Grid(math.ceil(len(indices) / 6), 6, side=0.8, above=0.32)
    for place, index in enumerate(indices):
        at = divmod(place, 6)
        grid.draw(at, picture(inspection.dataset.test_inputs[index]))
        true, predicted = inspection.dataset.test_targets[index], inspection.predicted[index]
        names = " as ".join(shortened(str(classes[i]), 8) for i in (true, predicted))
        grid.head(at, f"{names}\n{100 * probabilities[index, predicted]:.0f}%")
    return grid.figure


def plot_filters(inspection: "ModelInspection", *, most: int = 32) -> "Figure | None":
    """Draw the first layer's kernels, from negative (black) to positive (white).

    Kernels with three input channels are drawn in colour. None if the layer has no spatial window.
    """
    kernel, shape = inspection.kernel, inspection.dataset.input_shape
    if kernel.ndim == 2 and len(shape) == 3:  # a dense layer on an image
        kernel = kernel.reshape(*shape, -1)
    if kernel.ndim != 4:
        return None
    kernel = np.moveaxis(kernel, -1, 0)[:most]  # (filters, height, width, channels)
    if kernel.shape[-1] != 3:
        kernel = kernel.mean(axis=-1, keepdims=True)
    grid = _Grid(math.ceil(len(kernel) / ACROSS), min(ACROSS, len(kernel)), side=0.5)
    for place, each in enumerate(kernel):
        reach = 2 * np.abs(each).max() or 1.0
        grid.draw(divmod(place, ACROSS), np.clip(0.5 + each.squeeze(axis=-1) / reach, 0, 1)
                  if each.shape[-1] == 1 else np.clip(0.5 + each / reach, 0, 1))  # fmt: skip
    return grid.figure


def plot_stages(inspection: "ModelInspection", *, channels: int = CHANNELS) -> "Figure | None":
    """Draw the feature maps of one test image, with a row per layer and pooling.

    A row shows the channels that vary most. Each picture is scaled from its own minimum to its own
    maximum. None if inputs are not images.
    """
    stages = [stage for stage in inspection.stages if stage.values.ndim == 3]
    if len(stages) < 2 or picture(inspection.stages[0].values) is None:
        return None
    rows = _thinned(stages, 12)
    grid = _Grid(len(rows), channels, side=0.5, left=1.15)
    for i, stage in enumerate(rows):
        height, width, count = stage.values.shape
        words = f"{_wrapped(stage.name)}\n{height}x{width}, {count} channel" + "s" * (count > 1)
        grid.label(i, words)
        shown = [stage.values]
        if stage.name != "input":
            shown = [stage.values[..., j] for j in _most_active(stage.values, channels)]
        for j, values in enumerate(shown):
            grid.draw((i, j), picture(values))
    return grid.figure


def plot_poolings(inspection: "ModelInspection") -> "Figure | None":
    """Draw the same image and the same activations, pooled in four ways.

    One column for the input and one for each of the first layer's channels that vary most, with 3x3
    windows at stride 2. The pictures of a column share one scale, except that the L2 norm, which
    sums over the window, is divided by 3: constant inputs then keep their value.
    """
    first = next((stage for stage in inspection.stages[1:] if stage.values.ndim == 3), None)
    image = inspection.stages[0].values
    if first is None or picture(image) is None or min(first.values.shape[:2]) < 4:
        return None
    grey = image.astype(np.float32).mean(axis=-1)
    channels = _most_active(first.values, 4)
    columns = [grey, *(first.values[..., i] for i in channels)]
    names = ["input", *(f"channel {i + 1}" for i in channels)]
    grid = _Grid(len(POOLINGS) + 1, len(columns), side=0.75, left=0.85, above_first=0.2)
    for i, name in enumerate(["before", *(name.replace(" ", "\n") for name in POOLINGS)]):
        grid.label(i, name)
    for j, values in enumerate(columns):
        low, high = float(values.min()), float(values.max())
        reach = high - low or 1.0
        grid.head((0, j), names[j])
        grid.draw((0, j), (values - low) / reach)
        for i, (name, pool) in enumerate(POOLINGS.items(), start=1):
            pooled = np.asarray(pool(values[None, :, :, None], **WINDOWS))[0, :, :, 0]
            scale = 1 / 3 if name == "L2 norm" else 1.0
            grid.draw((i, j), np.clip((scale * pooled - low) / reach, 0, 1))
    return grid.figure


def picture(values: np.ndarray) -> np.ndarray | None:
    """An example as an image with values from 0 to 1: `(height, width)` or `(height, width, 3)`.

    For a volume or a clip, the middle slice. None for examples without two spatial axes.
    """
    if values.ndim == 4:
        values = values[len(values) // 2]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or min(values.shape[:2]) < 2:
        return None
    values = values.astype(np.float32)
    low, high = values.min(), values.max()
    shares = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return shares if shares.shape[-1] == 3 else shares.mean(axis=-1)


class _Grid:
    """Square pictures placed in inches in one pair of axes; separate axes would be slow."""

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        side: float,
        left: float = 0.0,
        above: float = 0.0,
        above_first: float = 0.0,
    ) -> None:
        self._side, self._left, self._above, self._first = side, left, above, above_first
        self._step = side + above + 0.06
        width, height = left + columns * (side + 0.06), above_first + rows * self._step
        self.figure = figure(height, width=width, margins=(0.0, 0.0, 0.0, 0.0))
        self._axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self._axes.set_axis_off()
        self._axes.set(xlim=(0, width), ylim=(height, 0))
        self._limits = (0, width), (height, 0)

    def _corner(self, at: tuple[int, int]) -> tuple[float, float]:
        row, column = at
        top = self._first + row * self._step + self._above
        return self._left + column * (self._side + 0.06), top

    def draw(self, at: tuple[int, int], shares: np.ndarray | None) -> None:
        """Draw values from 0 to 1, `(height, width)` or `(height, width, 3)`, in one cell."""
        if shares is None:
            return
        x, y = self._corner(at)
        height, width = (self._side * n / max(shares.shape[:2]) for n in shares.shape[:2])
        self._axes.imshow(shares, cmap="gray", vmin=0, vmax=1, interpolation="none",
                          extent=(x, x + width, y + height, y))  # fmt: skip
        self._axes.set(xlim=self._limits[0], ylim=self._limits[1], aspect="auto")

    def head(self, at: tuple[int, int], words: str) -> None:
        """Write above a picture."""
        x, y = self._corner(at)
        text(self._axes, x + self._side / 2, y - 0.03, words, ha="center", va="bottom", fontsize=7)

    def label(self, row: int, words: str) -> None:
        """Write at the left of a row."""
        _, y = self._corner((row, 0))
        text(self._axes, 0, y + self._side / 2, words, va="center", fontsize=7)


def _most_active(values: np.ndarray, most: int) -> list[int]:
    """The channels that vary most, in channel order."""
    spread = values.reshape(-1, values.shape[-1]).std(axis=0)
    return sorted(np.argsort(-spread, kind="stable")[:most].tolist())


def _thinned(stages: Sequence[Any], most: int) -> list[Any]:
    if len(stages) <= most:
        return list(stages)
    places = sorted({round(i * (len(stages) - 1) / (most - 1)) for i in range(most)})
    return [stages[i] for i in places]


def _wrapped(name: str) -> str:
    return "\n".join(shortened(part, 18) for part in name.split(", "))


def _transparent(colour: str) -> Any:
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    red, green, blue = to_rgb(colour)
    ends = [(red, green, blue, 0.0), (red, green, blue, 0.85)]
    return LinearSegmentedColormap.from_list("share", ends)
