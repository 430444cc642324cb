"""Where gradients vanish or explode on their way down a graph of layers.

In a chain, the gradient at one layer is compared with those above it. Where paths branch, a
gradient only vanishes if no other path carries it past the layer, and only explodes if it is larger
than on every path that it came from. A branch that is weak as a whole, such as one that is scaled
by 1e-6, is neither.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jcnn.tracing import BATCH, LayerGraph

# The limits of the figures; docs/diagnosis.md gives the reasons.
VANISHING = 1e-3
EXPLODING = 1e4
SHRINKS, GROWS = 0.6, 1.5
# Stands for a gradient of 0 in logarithms: smaller than any float32.
_LEAST = 1e-46


class Change(NamedTuple):
    """A change of gradients along `path`, layers from the lowest to the highest.

    It begins at `start`, below `above`, and `ratio` of the gradient at the top is left at `bottom`;
    `factor` is the geometric mean per layer.
    """

    start: int
    above: int
    bottom: int
    ratio: float
    factor: float


def vanishing(graph: LayerGraph, gradients: Mapping[int, float]) -> Change | None:
    """Return where the gradient vanishes, given the gradients of the layers to be compared."""
    graph = graph.only(gradients)
    for run in graph.series():
        change = _change(run, gradients, -1)
        if change is not None:
            return change
    highest: dict[int, float] = {}  # the least of the greatest gradients on the paths above
    via: dict[int, int] = {}
    for layer in reversed(graph.order):
        above = {j: max(gradients[j], highest[j]) for j in graph.readers[layer] if j in gradients}
        if layer not in gradients or graph.ends[layer] or not above:
            highest[layer] = 0.0
            continue
        via[layer] = min(above, key=lambda j: above[j])
        highest[layer] = above[via[layer]]
    entries = [gradients[layer] for layer in gradients if BATCH in graph.reads[layer]]
    for layer in sorted(via, key=lambda layer: gradients[layer]):
        least = VANISHING * highest[layer]
        below = [gradients[j] for j in graph.below[layer] if j != BATCH]
        bypass = max(below + (entries if BATCH in graph.below[layer] else []), default=0.0)
        if gradients[layer] <= least and bypass <= least:
            return _change(_path(layer, via, gradients, highest[layer]), gradients, -1)
    return None


def exploding(graph: LayerGraph, gradients: Mapping[int, float]) -> Change | None:
    """Return where the gradient explodes, given the gradients of the layers to be compared."""
    graph = graph.only(gradients)
    lowest: dict[int, float] = {}  # the greatest of the least gradients on the paths above
    via: dict[int, int] = {}
    for layer in reversed(graph.order):
        above = {j: min(gradients[j], lowest[j]) for j in graph.readers[layer] if j in gradients}
        if layer not in gradients or graph.ends[layer] or not above:
            lowest[layer] = math.inf
            continue
        via[layer] = max(above, key=lambda j: above[j])
        lowest[layer] = above[via[layer]]
    found = [layer for layer in via if gradients[layer] >= EXPLODING * max(lowest[layer], _LEAST)]
    if not found:
        return None
    layer = max(found, key=lambda layer: gradients[layer] / max(lowest[layer], _LEAST))
    return _change(_path(layer, via, gradients, lowest[layer]), gradients, 1)


def _path(
    layer: int, via: Mapping[int, int], gradients: Mapping[int, float], top: float
) -> list[int]:
    """Return the path from a layer up to the first with the gradient `top`."""
    path = [layer]
    while path[-1] in via:
        path.append(via[path[-1]])
        if gradients[path[-1]] == top:
            break
    return path


def _change(path: Sequence[int], gradients: Mapping[int, float], sign: int) -> Change | None:
    """Return the greatest change in `sign` along a path, if it is beyond the limit."""
    values = [gradients[layer] for layer in path]
    logs = [math.log(max(value, _LEAST)) for value in values]
    top, bottom, change = _greatest_change(logs, sign)
    if change < (-math.log(VANISHING) if sign < 0 else math.log(EXPLODING)):
        return None
    threshold = sign * math.log(SHRINKS if sign < 0 else GROWS)
    start = next(
        (i for i in range(top - 1, bottom, -1) if sign * (logs[i] - logs[i + 1]) > threshold),
        bottom,
    )
    # Gradients that float32 has rounded to 0 say nothing about the factor per layer.
    last = next(i for i in range(bottom, top + 1) if values[i] > 0 or i == top)
    return Change(
        start=path[start],
        above=path[start + 1],
        bottom=path[bottom],
        ratio=values[bottom] / values[top] if values[top] else 0.0,
        factor=math.exp((logs[last] - logs[top]) / (top - last)) if last < top else 0.0,
    )


def _greatest_change(logs: Sequence[float], sign: int) -> tuple[int, int, float]:
    """Return the upper and lower layer between which the log gradient changes most in `sign`."""
    best, top, result = -math.inf, len(logs) - 1, (len(logs) - 1, 0, -math.inf)
    for i in range(len(logs) - 1, -1, -1):
        if i < len(logs) - 1 and sign * (logs[i] - logs[top]) > best:
            best = sign * (logs[i] - logs[top])
            result = (top, i, best)
        if sign * logs[i] < sign * logs[top]:
            top = i
    return result
