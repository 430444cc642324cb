"""Verdicts: what is wrong with a network, and in which layer it starts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jcnn.diagnosis.gradient_changes import Change, exploding, vanishing
from jcnn.diagnosis.layer_report import LayerInfo, LayerReport
from jcnn.tracing import BATCH, LayerGraph

# The limits of the figures; docs/diagnosis.md gives the reasons.
MOST_DEAD = 0.8
MOST_SATURATED = 0.25
COLLAPSED_RANK = 1.1
# A layer beside the trunk collapses only if its input has at least this rank.
VARIED_RANK = 2.0
LEAST_UNITS = 4
# Fewer units beside the trunk may all be dead by chance.
FEW_UNITS = 16

# From the most specific cause to what may be a consequence of others.
ORDER = (
    "not_finite",
    "no_gradient",
    "dead",
    "saturated",
    "exploding",
    "vanishing",
    "collapsed",
    "not_learning",
)


class Verdict(NamedTuple):
    """`kind` is one of `ORDER`; `layer` is where it starts, `figure` the number that decided it."""

    kind: str
    layer: str
    figure: float
    sentence: str


def verdicts(layers: Sequence[LayerReport]) -> list[Verdict]:
    """Return everything that is wrong, the most specific first; empty if nothing is."""
    if not layers:
        return []
    graph = graph_of(layers)
    faults = (
        _not_finite(layers)
        or _no_gradient(layers)
        or [
            *_dead(layers, graph),
            *_saturated(layers),
            *_vanishing_or_exploding(layers, graph),
            *_collapsed(layers, graph),
            *_not_learning(layers, graph),
        ]
    )
    return sorted(faults, key=lambda fault: ORDER.index(fault.kind))


def graph_of(layers: Sequence[LayerInfo]) -> LayerGraph:
    """Return the graph of layers; a chain if they do not say what they read."""
    if any(layer.reads is None for layer in layers):
        return LayerGraph.chain(len(layers))
    return LayerGraph([layer.reads or () for layer in layers], [layer.is_end for layer in layers])


def _not_finite(layers: Sequence[LayerReport]) -> list[Verdict]:
    for layer in layers:
        if not math.isfinite(layer.std):
            text = f"values are not finite from {layer.name} on"
            return [Verdict("not_finite", layer.name, layer.std, text)]
    for layer in reversed(layers):
        if not math.isfinite(layer.gradient):
            text = f"gradients are not finite from {layer.name} down"
            return [Verdict("not_finite", layer.name, layer.gradient, text)]
    return []


def _no_gradient(layers: Sequence[LayerReport]) -> list[Verdict]:
    if any(
        layer.off_at_start
        or (layer.gradient > 0 and not (layer.trained and layer.parameter_gradient == 0))
        for layer in layers
    ):
        return []
    text = (
        "no gradient reaches any weights: the loss is constant, or nothing between the weights and "
        "the loss has a derivative"
    )
    return [Verdict("no_gradient", layers[-1].name, 0.0, text)]


def _dead(layers: Sequence[LayerReport], graph: LayerGraph) -> list[Verdict]:
    for i, layer in enumerate(layers):
        if layer.dead is None or not layer.dead >= MOST_DEAD or layer.cut_off:
            continue
        if layer.units < FEW_UNITS and layer.units and not graph.is_trunk(i):
            continue
        text = (
            f"{layer.dead:.0%} of the units of {layer.name} are active for no example, so no "
            "gradient passes through them"
        )
        return [Verdict("dead", layer.name, layer.dead, text)]
    return []


def _saturated(layers: Sequence[LayerReport]) -> list[Verdict]:
    shares = {
        layer.name: layer.saturated
        for layer in layers
        if layer.saturated is not None
        and not layer.cut_off
        and layer.saturated >= MOST_SATURATED + layer.usually_saturated
    }
    if not shares:
        return []
    name, share = next(iter(shares.items()))
    text = f"the activation of {name} is flat for {share:.0%} of its elements" + (
        f" (up to {max(shares.values()):.0%} in {len(shares)} layers)" if len(shares) > 1 else ""
    )
    return [Verdict("saturated", name, share, text)]


def _vanishing_or_exploding(layers: Sequence[LayerReport], graph: LayerGraph) -> list[Verdict]:
    """Return whether gradients shrink or grow too much on the way down.

    Compared are the layers with an activation, if there are any, without those of which it is known
    why their gradient is 0.
    """
    hidden = [i for i, layer in enumerate(layers) if layer.activation is not None] or [
        i for i in range(len(layers)) if graph.readers[i] or not graph.ends[i]
    ]
    gradients = {
        i: layers[i].gradient
        for i in hidden
        if not layers[i].cut_off and (layers[i].gradient > 0 or not layers[i].off_at_start)
    }
    faults = []
    for kind, change in (
        ("vanishing", vanishing(graph, gradients)),
        ("exploding", exploding(graph, gradients)),
    ):
        if change is not None:
            text = _gradient_sentence(kind, change, layers)
            faults.append(Verdict(kind, layers[change.start].name, change.ratio, text))
    return faults


def _gradient_sentence(kind: str, change: Change, layers: Sequence[LayerReport]) -> str:
    start, above, bottom = (layers[i].name for i in (change.start, change.above, change.bottom))
    if layers[change.start].gradient == 0:
        return f"no gradient passes from {above} down to {start}"
    if kind == "vanishing":
        left = f"{change.ratio:.1e} of it is left" if change.ratio else "nothing is left"
        return (
            f"the gradient shrinks by {change.factor:.2g}x per layer from {above} down: {left} at "
            f"{bottom}"
        )
    return (
        f"the gradient grows by {change.factor:.2f}x per layer from {above} down: it is "
        f"{change.ratio:.1e} times as large at {bottom}"
    )


def _collapsed(layers: Sequence[LayerReport], graph: LayerGraph) -> list[Verdict]:
    for i, layer in enumerate(layers):
        rank = layer.effective_rank if math.isnan(layer.later_rank) else layer.later_rank
        # A layer with few inputs, or inputs in one direction, cannot vary in more directions.
        is_output = graph.ends[i] and not graph.readers[i]
        if is_output or layer.cut_off or min(layer.units, layer.fan_in) < LEAST_UNITS:
            continue
        least = COLLAPSED_RANK if graph.is_trunk(i) else VARIED_RANK
        if rank <= COLLAPSED_RANK and not layer.input_rank <= least:
            text = (
                f"effective rank {rank:.2f}: the {layer.units} units of {layer.name} all carry the "
                "same signal"
            )
            return [Verdict("collapsed", layer.name, rank, text)]
    return []


def _not_learning(layers: Sequence[LayerReport], graph: LayerGraph) -> list[Verdict]:
    # An optimizer that changes nothing waits: a warm-up from 0, or gradients that are accumulated.
    waits = not any(layer.update > 0 for layer in layers)
    for i, layer in enumerate(layers):
        if not layer.gradient > 0 or layer.off_at_start or layer.cut_off:
            continue
        text = ""
        if not layer.trained:
            text = f"the weights of {layer.name} are not `nnx.Param`, so they are not trained"
        elif layer.parameter_gradient == 0:
            text = f"a gradient reaches {layer.name}, but not its weights: they are frozen"
        elif layer.update == 0 and not waits:
            text = f"the optimizer does not change the weights of {layer.name}"
        if text and not _frozen_on_purpose(i, layers, graph):
            return [Verdict("not_learning", layer.name, 0.0, text)]
    return []


def _frozen_on_purpose(i: int, layers: Sequence[LayerReport], graph: LayerGraph) -> bool:
    """Whether a frozen layer belongs to a frozen first part, or a trained adapter runs beside it.

    An adapter is of lower rank, and reaches what the layer reaches.
    """

    def is_frozen(layer: LayerReport) -> bool:
        return not layer.trained or layer.parameter_gradient == 0 or layer.update == 0

    below = graph.below[i] - {BATCH}
    frozen = [j for j, layer in enumerate(layers) if is_frozen(layer)]
    if len(frozen) == len(layers):
        return False
    if below.issubset(frozen):
        upper = [j for j in frozen if i in graph.below[j]]
        if below or any((graph.below[j] - {BATCH}).issubset(frozen) for j in upper):
            return True
    return any(
        layers[j].trained
        and not is_frozen(layers[j])
        and 2 * layers[j].fan_in <= min(layers[i].fan_in, layers[i].units)
        and (graph.readers[j], graph.ends[j]) == (graph.readers[i], graph.ends[i])
        for j in range(len(layers))
    )
