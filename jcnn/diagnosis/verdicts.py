"""Verdicts: what is wrong with a network, and in which layer it starts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jcnn.diagnosis.layer_report import LayerReport

# The limits of the figures; docs/diagnosis.md gives the reasons.
VANISHING = 1e-3
EXPLODING = 1e4
SHRINKS, GROWS = 0.6, 1.5
MOST_DEAD = 0.8
MOST_SATURATED = 0.25
COLLAPSED_RANK = 1.1
LEAST_UNITS = 4
# Stands for a gradient of 0 in logarithms: smaller than any float32.
_LEAST = 1e-46

# From the most specific cause to what may be a consequence of others.
ORDER = ("not_finite", "dead", "saturated", "exploding", "vanishing", "collapsed", "not_learning")


class Verdict(NamedTuple):
    """`kind` is one of `ORDER`; `layer` is where it starts, `figure` the number that decided it."""

    kind: str
    layer: str
    figure: float
    sentence: str


def verdicts(layers: Sequence[LayerReport]) -> list[Verdict]:
    """Return everything that is wrong, the most specific first; empty for a healthy network."""
    faults = _not_finite(layers) or [
        *_dead(layers),
        *_saturated(layers),
        *_vanishing_or_exploding(layers),
        *_collapsed(layers),
        *_not_learning(layers),
    ]
    return sorted(faults, key=lambda fault: ORDER.index(fault.kind))


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


def _dead(layers: Sequence[LayerReport]) -> list[Verdict]:
    for layer in layers:
        if layer.dead is not None and layer.dead >= MOST_DEAD:
            text = (
                f"{layer.dead:.0%} of the units of {layer.name} are active for no example, so no "
                "gradient passes through them"
            )
            return [Verdict("dead", layer.name, layer.dead, text)]
    return []


def _saturated(layers: Sequence[LayerReport]) -> list[Verdict]:
    shares = {layer.name: layer.saturated for layer in layers if layer.saturated is not None}
    shares = {name: share for name, share in shares.items() if share >= MOST_SATURATED}
    if not shares:
        return []
    name, share = next(iter(shares.items()))
    text = f"the activation of {name} is flat for {share:.0%} of its elements" + (
        f" (up to {max(shares.values()):.0%} in {len(shares)} layers)" if len(shares) > 1 else ""
    )
    return [Verdict("saturated", name, share, text)]


def _vanishing_or_exploding(layers: Sequence[LayerReport]) -> list[Verdict]:
    """Return whether gradients shrink or grow too much between two layers, on the way down."""
    hidden = [layer for layer in layers if layer.activation is not None] or list(layers[:-1])
    logs = [math.log(max(layer.gradient, _LEAST)) for layer in hidden]
    faults = []
    for kind, sign, limit in (
        ("vanishing", -1, -math.log(VANISHING)),
        ("exploding", 1, math.log(EXPLODING)),
    ):
        top, bottom, change = _greatest_change(logs, sign)
        if change < limit:
            continue
        threshold = sign * math.log(SHRINKS if sign < 0 else GROWS)
        start = next(
            (i for i in range(top - 1, bottom, -1) if sign * (logs[i] - logs[i + 1]) > threshold),
            bottom,
        )
        ratio = hidden[bottom].gradient / hidden[top].gradient if hidden[top].gradient else 0.0
        # Gradients that float32 has rounded to 0 say nothing about the factor per layer.
        last = next(i for i in range(bottom, top + 1) if hidden[i].gradient > 0 or i == top)
        factor = math.exp((logs[last] - logs[top]) / (top - last)) if last < top else 0.0
        names = hidden[start].name, hidden[start + 1].name, hidden[bottom].name
        text = _gradient_sentence(sign, factor, ratio, hidden[start].gradient == 0, *names)
        faults.append(Verdict(kind, hidden[start].name, ratio, text))
    return faults


def _gradient_sentence(
    sign: int, factor: float, ratio: float, is_zero: bool, start: str, above: str, bottom: str
) -> str:
    if is_zero:
        return f"no gradient passes from {above} down to {start}"
    if sign < 0:
        left = f"{ratio:.1e} of it is left" if ratio else "nothing is left"
        return (
            f"the gradient shrinks by {factor:.2g}x per layer from {above} down: {left} at {bottom}"
        )
    return (
        f"the gradient grows by {factor:.2f}x per layer from {above} down: it is {ratio:.1e} times "
        f"as large at {bottom}"
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


def _collapsed(layers: Sequence[LayerReport]) -> list[Verdict]:
    input_varies = True  # nothing is known about the batch
    for layer in layers[:-1]:
        is_flat = layer.effective_rank <= COLLAPSED_RANK
        # A layer with few inputs, or inputs in one direction, cannot vary in more directions.
        if is_flat and input_varies and min(layer.units, layer.fan_in) >= LEAST_UNITS:
            text = (
                f"effective rank {layer.effective_rank:.2f}: the {layer.units} units of "
                f"{layer.name} all carry the same signal"
            )
            return [Verdict("collapsed", layer.name, layer.effective_rank, text)]
        input_varies = not is_flat
    return []


def _not_learning(layers: Sequence[LayerReport]) -> list[Verdict]:
    for layer in layers:
        if layer.gradient <= 0:
            continue
        text = ""
        if not layer.trained:
            text = f"the weights of {layer.name} are not `nnx.Param`, so they are not trained"
        elif layer.parameter_gradient == 0:
            text = f"a gradient reaches {layer.name}, but not its weights: they are frozen"
        elif layer.update == 0:
            text = f"the optimizer does not change the weights of {layer.name}"
        if text:
            return [Verdict("not_learning", layer.name, 0.0, text)]
    return []
