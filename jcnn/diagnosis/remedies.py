"""Remedies for each verdict, as values that jcnn knows by name."""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from jcnn.activations import ACTIVATIONS
from jcnn.diagnosis.gradient_changes import GROWS, SHRINKS
from jcnn.diagnosis.layer_report import LayerReport
from jcnn.diagnosis.verdicts import Verdict
from jcnn.theory import mean_field

# Each change as the factors of a study, in the order in which they are named.
CHANGES: Mapping[str, list[dict[str, str]]] = {
    "vanishing": [
        {"activation": "relu", "kernel_init": "he_normal"},
        {"normalization": "batch"},
        {"kernel_init": "glorot_normal"},
    ],
    "exploding": [
        {"kernel_init": "he_normal"},
        {"kernel_init": "glorot_normal"},
        {"normalization": "batch"},
    ],
    "saturated": [
        {"kernel_init": "glorot_normal"},
        {"activation": "relu", "kernel_init": "he_normal"},
        {"normalization": "batch"},
    ],
    "dead": [
        {"normalization": "batch"},
        {"activation": "leaky_relu"},
        {"kernel_init": "he_normal"},
    ],
    "collapsed": [{"kernel_init": "orthogonal"}, {"normalization": "batch"}],
    "no_gradient": [],
    "not_learning": [],
    "not_finite": [{"kernel_init": "he_normal"}, {"normalization": "batch"}],
}
_WEIGHT_VARIANCE = {"he_normal": 2.0, "glorot_normal": 1.0, "orthogonal": 1.0}
# Faults that too high a learning rate can cause in a network that began well.
_FROM_TRAINING = ("collapsed", "dead", "exploding", "not_finite", "saturated")
# Weights within a quarter of an initializer's variance are taken for its own.
_SAME_VARIANCE = 1.25


class Remedy(NamedTuple):
    """What would help: a sentence, and its changes as the factors of a study."""

    sentence: str
    changes: Sequence[Mapping[str, str]] = ()


class _Present(NamedTuple):
    """What a network uses: its activation, kinds of normalization, and the variance of its weights.

    The variance is that of a weight times its fan-in.
    """

    activation: str | None
    normalizations: Collection[str]
    variance: float


def remedy(
    verdict: Verdict, layers: Sequence[LayerReport], normalizations: Collection[str] = ()
) -> Remedy:
    """Return what to change, with the gradient factors that theory predicts.

    Changes are left out if the network uses the value already, or if theory predicts that the
    gradient's factor per layer is no closer to 1 than it is. `normalizations` are the kinds of
    normalization that the network has ("batch", "layer", ...).
    """
    if verdict.kind == "no_gradient":
        return Remedy(
            "use outputs and a loss that have a derivative: no argmax, sign, round or "
            "stop_gradient between the weights and the loss, and two or more outputs for a softmax"
        )
    if verdict.kind == "not_learning":
        return Remedy(
            f"make {verdict.layer} trainable: keep its weights in an nnx.Param, without "
            "stop_gradient, among the parameters that the optimizer updates"
        )
    present = _present(verdict, layers, normalizations)
    changes = [change for change in CHANGES[verdict.kind] if _helps(change, verdict.kind, present)]
    labels = [_label(change, present.activation) for change in changes]
    if verdict.kind in _FROM_TRAINING:
        labels.append("a lower learning rate if the network was healthy before training")
    if not labels:
        return Remedy("no change that jcnn knows by name is predicted to help")
    choices = [", ".join(labels[:-1]), labels[-1]] if len(labels) > 1 else labels
    return Remedy(f"try {' or '.join(choices)}", changes)


def _present(
    verdict: Verdict, layers: Sequence[LayerReport], normalizations: Collection[str]
) -> _Present:
    activations = [layer.activation for layer in layers if layer.activation]
    at_fault = [layer for layer in layers if layer.name == verdict.layer]
    own = [layer.activation for layer in at_fault if layer.activation]
    variances = [layer.weight_variance for layer in (at_fault or layers)]
    return _Present(
        activation=next(iter([*own, *activations]), None),
        normalizations=normalizations,
        variance=variances[0] if variances else math.nan,
    )


def _helps(change: Mapping[str, str], kind: str, present: _Present) -> bool:
    """Whether a change is one, and theory does not predict that it is none for the better."""
    if "normalization" in change:
        return change["normalization"] not in present.normalizations
    init, activation = change.get("kernel_init"), change.get("activation", present.activation)
    same_activation = activation == present.activation
    variance = _WEIGHT_VARIANCE.get(init or "", math.nan)
    if same_activation and init is None:
        return False
    if same_activation and init != "orthogonal" and present.variance > 0:
        if max(variance / present.variance, present.variance / variance) < _SAME_VARIANCE:
            return False
        if kind == "saturated" and variance > present.variance:
            return False
    if kind in ("vanishing", "exploding"):
        expected = _expected(change, present.activation)
        now = _factor(present.activation, present.variance)
        is_better = math.isnan(now) or abs(math.log(expected)) < abs(math.log(max(now, 1e-30)))
        return SHRINKS <= expected <= GROWS and is_better
    return True


def _label(change: Mapping[str, str], activation: str | None) -> str:
    values = " with ".join(change.values())
    if "normalization" in change:
        return f"{change['normalization']} normalization"
    factor = _expected(change, activation, unknown=math.nan)
    return values if math.isnan(factor) else f"{values} (predicted factor {factor:.2f} per layer)"


def _expected(change: Mapping[str, str], activation: str | None, unknown: float = 1.0) -> float:
    """Return the gradient's factor per wide layer after a change, `unknown` if theory has none."""
    name, init = change.get("activation", activation), change.get("kernel_init")
    factor = _factor(name, _WEIGHT_VARIANCE.get(init or "", math.nan))
    return unknown if math.isnan(factor) else factor


def _factor(activation: str | None, variance: float) -> float:
    """Return the gradient's factor per wide layer; NaN if theory has none."""
    if activation not in ACTIVATIONS or not 0 < variance < math.inf:
        return math.nan
    return _computed_factor(activation, float(f"{variance:.3g}"))


@lru_cache(maxsize=256)
def _computed_factor(activation: str, variance: float) -> float:
    """Return the factor; it takes tens of milliseconds to compute."""
    result = mean_field(ACTIVATIONS[activation], weight_variance=variance, bias_variance=0.0)
    return float(result.chi) ** 0.5
