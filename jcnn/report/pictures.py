"""What the best network sees: its filters, what an image becomes in it, and what it gets wrong.

>>> import jcnn
>>> study = jcnn.Study(factors={"features": [(4,)]}, learning_rates=[0.1], seeds=1, epochs=1)
>>> one = jcnn.study.look_into(study, study.run()).portrait
>>> for plot in (plot_confusion, plot_confused, plot_filters, plot_stages, plot_poolings):
...     plot(one).savefig("/dev/null", format="svg")
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jcnn import pooling
from jcnn.report.style import FAINT, GREY, INK, WIDTH, axes_of, figure, shortened, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from jcnn.study.inspect_model import Portrait

# How many channels of a layer are drawn, and how many pictures stand side by side.
CHANNELS, ACROSS = 7, 8
POOLINGS: dict[str, Callable[..., Any]] = {
    "max": pooling.max_pool,
    "average": pooling.avg_pool,
    "L2 norm": pooling.l2_pool,
    "weighted average": pooling.weighted_avg_pool,
}


WINDOWS: dict[str, Any] = {"window_shape": (3, 3), "strides": (2, 2), "padding": "SAME"}


def plot_confusion(one: "Portrait") -> "Figure | None":
    """Which classes are taken for which: test examples counted, by row what they are.

    None for a regression.
    """
    classes = one.dataset.classes
    if classes is None:
        return None
    counts = one.confusion()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(classes)
    side = min(WIDTH, max(2.6, 0.3 * size + 0.9))
    fig = figure(0.94 * side, width=side)
    axes = axes_of(fig)[0, 0]
    # The diagonal is most of all; what is off it is what a reader looks for.
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
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    return fig


def plot_confused(one: "Portrait", *, most: int = 12) -> "Figure | None":
    """The surest mistakes on the test set, as pictures; None where there are none to draw."""
    if one.dataset.classes is None or picture(one.dataset.test_inputs[0]) is None:
        return None
    indices = one.most_confused(most)
    if not indices:
        return None
    sure, classes = one.probabilities(), one.dataset.classes
    grid = _Grid(math.ceil(len(indices) / 6), 6, side=0.8, above=0.32)
    for place, index in enumerate(indices):
        at = divmod(place, 6)
        grid.draw(at, picture(one.dataset.test_inputs[index]))
        is_, taken = one.dataset.test_targets[index], one.predicted[index]
        names = " for ".join(shortened(str(classes[i]), 8) for i in (is_, taken))
        grid.head(at, f"{names}\n{100 * sure[index, taken]:.0f}%")
    return grid.figure


def plot_filters(one: "Portrait", *, most: int = 32) -> "Figure | None":
    """The first layer's kernels as pictures: grey ones from negative (black) to positive (white).

    Kernels of three channels are drawn in colour. None where the layer has no spatial window.
    """
    kernel, shape = one.kernel, one.dataset.input_shape
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


def plot_stages(one: "Portrait", *, channels: int = CHANNELS) -> "Figure | None":
    """What one test image becomes: a row for each layer and pooling, its most active channels.

    Each picture runs from its own least to its greatest value. None for inputs that are no images.
    """
    stages = [stage for stage in one.stages if stage.values.ndim == 3]
    if len(stages) < 2 or picture(one.stages[0].values) is None:
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


def plot_poolings(one: "Portrait") -> "Figure | None":
    """The same image and the same activations, pooled four ways.

    A column for the input and each of the first layer's most active channels; windows are 3x3, two
    apart. Every picture of a column has one scale, but the L2 norm, which sums, is a third of it:
    what is equal everywhere then stays as it is.
    """
    first = next((stage for stage in one.stages[1:] if stage.values.ndim == 3), None)
    image = one.stages[0].values
    if first is None or picture(image) is None or min(first.values.shape[:2]) < 4:
        return None
    grey = image.astype(np.float32).mean(axis=-1)
    channels = _most_active(first.values, 4)
    columns = [grey, *(first.values[..., i] for i in channels)]
    names = ["input", *(f"channel {i + 1}" for i in channels)]
    grid = _Grid(len(POOLINGS) + 1, len(columns), side=0.75, left=0.85, above_first=0.2)
    for i, name in enumerate(["as it was", *(name.replace(" ", "\n") for name in POOLINGS)]):
        grid.label(i, name)
    for j, values in enumerate(columns):
        low, high = float(values.min()), float(values.max())
        reach = high - low or 1.0
        grid.head((0, j), names[j])
        grid.draw((0, j), (values - low) / reach)
        for i, (name, pool) in enumerate(POOLINGS.items(), start=1):
            found = np.asarray(pool(values[None, :, :, None], **WINDOWS))[0, :, :, 0]
            scale = 1 / 3 if name == "L2 norm" else 1.0
            grid.draw((i, j), np.clip((scale * found - low) / reach, 0, 1))
    return grid.figure


def picture(values: np.ndarray) -> np.ndarray | None:
    """An example as an image of shares: `(height, width)` or `(height, width, 3)`.

    Of a volume or a clip it is the slice in the middle; None for what has no two spatial axes.
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
    """Square pictures side by side in one pair of axes, in inches: one for each would be slow."""

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
        """Shares of full brightness, `(height, width)` or `(height, width, 3)`."""
        if shares is None:
            return
        x, y = self._corner(at)
        height, width = (self._side * n / max(shares.shape[:2]) for n in shares.shape[:2])
        self._axes.imshow(shares, cmap="gray", vmin=0, vmax=1, interpolation="none",
                          extent=(x, x + width, y + height, y))  # fmt: skip
        self._axes.set(xlim=self._limits[0], ylim=self._limits[1], aspect="auto")

    def head(self, at: tuple[int, int], words: str) -> None:
        """Words above a picture."""
        x, y = self._corner(at)
        text(self._axes, x + self._side / 2, y - 0.03, words, ha="center", va="bottom", fontsize=7)

    def label(self, row: int, words: str) -> None:
        """Words at the left of a row."""
        _, y = self._corner((row, 0))
        text(self._axes, 0, y + self._side / 2, words, va="center", fontsize=7)


def _most_active(values: np.ndarray, most: int) -> list[int]:
    """The channels that vary most, in their own order."""
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
