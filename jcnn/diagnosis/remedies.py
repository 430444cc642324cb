"""What would mend a verdict, as values that jcnn has a name for."""

import math
from collections.abc import Mapping
from functools import lru_cache

from jcnn.activations import ACTIVATIONS
from jcnn.diagnosis.verdicts import GROWS, SHRINKS, Verdict
from jcnn.theory import mean_field

# Each change as the factors of a study; the first is the one that is named first.
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
    """A sentence that names what to change, with the factor that theory predicts for it."""
    if verdict.kind == "not_learning":
        return (
            f"let {verdict.layer} learn: keep its weights in an nnx.Param, without stop_gradient, "
            "and in what the optimizer updates"
        )
    changes = CHANGES[verdict.kind]
    if verdict.kind in ("vanishing", "exploding"):
        changes = [one for one in changes if SHRINKS <= _expected(one, activation) <= GROWS]
    told = [_told(change, activation) for change in changes]
    return f"try {', '.join(told[:-1])} or {told[-1]}"


def _told(change: Mapping[str, str], activation: str | None) -> str:
    values = " with ".join(change.values())
    if "normalization" in change:
        return f"{change['normalization']} normalization"
    factor = _expected(change, activation, unknown=math.nan)
    return values if math.isnan(factor) else f"{values} (predicted factor {factor:.2f} a layer)"


def _expected(change: Mapping[str, str], activation: str | None, unknown: float = 1.0) -> float:
    """What a gradient is multiplied by at each wide layer after a change, where theory says it."""
    name, init = change.get("activation", activation), change.get("kernel_init")
    if "normalization" in change or name not in ACTIVATIONS or init not in _WEIGHT_VARIANCE:
        return unknown
    return _factor(name, init)


@lru_cache(maxsize=256)
def _factor(activation: str, kernel_init: str) -> float:
    """Theory's factor of a gradient at each wide layer; it takes tens of milliseconds."""
    variance = _WEIGHT_VARIANCE[kernel_init]
    found = mean_field(ACTIVATIONS[activation], weight_variance=variance, bias_variance=0.0)
    return float(found.chi) ** 0.5
