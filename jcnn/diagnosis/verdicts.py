"""From numbers to words: what is wrong with a layer, where it begins, and what would mend it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

# How each figure is judged; docs/diagnosis.md says why.
VANISHING = 1e-3
EXPLODING = 1e4
SHRINKS, GROWS = 0.6, 1.5
MOST_DEAD = 0.8
MOST_SATURATED = 0.25
COLLAPSED_RANK = 1.1
LEAST_UNITS = 4
# What stands for a gradient of 0 in logarithms: less than float32 can hold.
_LEAST = 1e-46

# From the most specific cause to what may be a consequence of others.
ORDER = ("not_finite", "dead", "saturated", "exploding", "vanishing", "collapsed", "not_learning")


class Figures(NamedTuple):
    """What a verdict on one layer rests on; NaN for what is not known of it."""

    name: str
    mean: float
    std: float
    saturated: float
    dead: float
    rank: float
    units: int
    fan_in: int
    gradient: float
    parameter_gradient: float
    update: float
    trained: bool
    has_activation: bool


class Verdict(NamedTuple):
    """`kind` is one of `ORDER`; `layer` is where it starts, `figure` what decided it."""

    kind: str
    layer: str
    figure: float
    sentence: str


def verdicts(layers: Sequence[Figures]) -> list[Verdict]:
    """Everything that is wrong, the most specific first; nothing for a healthy network."""
    found = [*_not_finite(layers)]
    if not found:
        found = [
            *_dead(layers),
            *_saturated(layers),
            *_moving(layers),
            *_collapsed(layers),
            *_not_learning(layers),
        ]
    return sorted(found, key=lambda one: ORDER.index(one.kind))


def _not_finite(layers: Sequence[Figures]) -> list[Verdict]:
    for one in layers:
        if not (math.isfinite(one.mean) and math.isfinite(one.std)):
            text = f"values are not finite from {one.name} on"
            return [Verdict("not_finite", one.name, one.std, text)]
    for one in reversed(layers):
        if not math.isfinite(one.gradient):
            text = f"the gradient is not finite from {one.name} down"
            return [Verdict("not_finite", one.name, one.gradient, text)]
    return []


def _dead(layers: Sequence[Figures]) -> list[Verdict]:
    return [
        Verdict(
            "dead",
            one.name,
            one.dead,
            f"{one.dead:.0%} of the units of {one.name} are active for no example, so nothing is "
            "learned through them",
        )
        for one in layers
        if one.dead >= MOST_DEAD
    ][:1]


def _saturated(layers: Sequence[Figures]) -> list[Verdict]:
    found = [one for one in layers if one.saturated >= MOST_SATURATED]
    if not found:
        return []
    first, most = found[0], max(one.saturated for one in found)
    text = f"{first.saturated:.0%} of {first.name} lies where its activation is flat" + (
        f" (up to {most:.0%} in {len(found)} layers)" if len(found) > 1 else ""
    )
    return [Verdict("saturated", first.name, first.saturated, text)]


def _moving(layers: Sequence[Figures]) -> list[Verdict]:
    """Gradients that shrink or grow too much between two layers, on the way down."""
    hidden = [one for one in layers if one.has_activation] or list(layers[:-1])
    logs = [math.log(max(one.gradient, _LEAST)) for one in hidden]
    found = []
    for kind, sign, limit in (
        ("vanishing", -1, -math.log(VANISHING)),
        ("exploding", 1, math.log(EXPLODING)),
    ):
        top, bottom, most = _greatest_move(logs, sign)
        if most < limit:
            continue
        threshold = sign * math.log(SHRINKS if sign < 0 else GROWS)
        start = next(
            (i for i in range(top - 1, bottom, -1) if sign * (logs[i] - logs[i + 1]) > threshold),
            bottom,
        )
        above = hidden[start + 1].name
        left = hidden[bottom].gradient / hidden[top].gradient if hidden[top].gradient else 0.0
        # Below float32's least number there is nothing to tell a factor by.
        last = next(i for i in range(bottom, top + 1) if hidden[i].gradient > 0 or i == top)
        each = math.exp((logs[last] - logs[top]) / (top - last)) if last < top else 0.0
        if hidden[start].gradient == 0:
            text = f"no gradient at all passes from {above} down to {hidden[start].name}"
        elif sign < 0:
            share = f"{left:.1e} of it is" if left else "nothing is"
            text = (
                f"the gradient shrinks {each:.2g}x a layer from {above} down: {share} left at "
                f"{hidden[bottom].name}"
            )
        else:
            text = (
                f"the gradient grows {each:.2f}x a layer from {above} down, to {left:.1e} times "
                f"at {hidden[bottom].name}"
            )
        found.append(Verdict(kind, hidden[start].name, left, text))
    return found


def _greatest_move(logs: Sequence[float], sign: int) -> tuple[int, int, float]:
    """The two layers, upper and lower, between which the log gradient moves most this way."""
    best, top, found = -math.inf, len(logs) - 1, (len(logs) - 1, 0, -math.inf)
    for i in range(len(logs) - 1, -1, -1):
        if i < len(logs) - 1 and sign * (logs[i] - logs[top]) > best:
            best, found = sign * (logs[i] - logs[top]), (top, i, sign * (logs[i] - logs[top]))
        if sign * logs[i] < sign * logs[top]:
            top = i
    return found


def _collapsed(layers: Sequence[Figures]) -> list[Verdict]:
    had_more = True  # the batch, of which nothing else is known
    for one in layers[:-1]:
        flat = one.rank <= COLLAPSED_RANK
        # What has few inputs, or inputs of one direction, has no more to say.
        if flat and had_more and min(one.units, one.fan_in) >= LEAST_UNITS:
            text = (
                f"the {one.units} units of {one.name} all say the same: effective rank "
                f"{one.rank:.2f}"
            )
            return [Verdict("collapsed", one.name, one.rank, text)]
        had_more = not flat
    return []


def _not_learning(layers: Sequence[Figures]) -> list[Verdict]:
    for one in layers:
        if one.gradient <= 0:
            continue
        if not one.trained:
            text = f"the weights of {one.name} are no nnx.Param, so they are not trained"
            return [Verdict("not_learning", one.name, 0.0, text)]
        if one.parameter_gradient == 0:
            text = f"a gradient reaches {one.name}, but none its weights: they are frozen"
            return [Verdict("not_learning", one.name, 0.0, text)]
        if one.update == 0:
            text = f"the optimizer does not change the weights of {one.name}"
            return [Verdict("not_learning", one.name, 0.0, text)]
    return []
