"""Remedies for each verdict, as values that jcnn knows by name."""

import math
from collections.abc import Mapping
from functools import lru_cache

from jcnn.activations import ACTIVATIONS
from jcnn.diagnosis.verdicts import GROWS, SHRINKS, Verdict
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
    "not_learning": [],
    "not_finite": [{"kernel_init": "he_normal"}, {"normalization": "batch"}],
}
_WEIGHT_VARIANCE = {"he_normal": 2.0, "glorot_normal": 1.0, "orthogonal": 1.0}


def remedy(verdict: Verdict, activation: str | None) -> str:
    """Return a sentence that says what to change, with the gradient factor that theory predicts."""
    if verdict.kind == "not_learning":
        return (
            f"make {verdict.layer} trainable: keep its weights in an nnx.Param, without "
            "stop_gradient, among the parameters that the optimizer updates"
        )
    changes = CHANGES[verdict.kind]
    if verdict.kind in ("vanishing", "exploding"):
        changes = [
            change for change in changes if SHRINKS <= _expected(change, activation) <= GROWS
        ]
    labels = [_label(change, activation) for change in changes]
    return f"try {', '.join(labels[:-1])} or {labels[-1]}"


def _label(change: Mapping[str, str], activation: str | None) -> str:
    values = " with ".join(change.values())
    if "normalization" in change:
        return f"{change['normalization']} normalization"
    factor = _expected(change, activation, unknown=math.nan)
    return values if math.isnan(factor) else f"{values} (predicted factor {factor:.2f} per layer)"


def _expected(change: Mapping[str, str], activation: str | None, unknown: float = 1.0) -> float:
    """Return the gradient's factor per wide layer after a change, `unknown` if theory has none."""
    name, init = change.get("activation", activation), change.get("kernel_init")
    if "normalization" in change or name not in ACTIVATIONS or init not in _WEIGHT_VARIANCE:
        return unknown
    return _factor(name, init)


@lru_cache(maxsize=256)
def _factor(activation: str, kernel_init: str) -> float:
    """Return the gradient's factor per wide layer; it takes tens of milliseconds to compute."""
    variance = _WEIGHT_VARIANCE[kernel_init]
    result = mean_field(ACTIVATIONS[activation], weight_variance=variance, bias_variance=0.0)
    return float(result.chi) ** 0.5
