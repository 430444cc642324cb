"""The record of one weighted layer: what is known before any batch, and what a batch shows."""

import math
from dataclasses import dataclass
from typing import Any

from jcnn.diagnosis.singular import SingularValues

# The fields that are part of a diagnosis as JSON, in this order.
_JSON_FIELDS = (
    "name",
    "kind",
    "activation",
    "shape",
    "mean",
    "std",
    "saturated",
    "dead",
    "effective_rank",
    "units",
    "gradient",
    "factor",
    "weight_gradient",
    "update_ratio",
    "verdict",
    "singular_values",
)


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """One call of a layer with weights and the activation after it, as known before any batch.

    `shape` is that of the output for one example, `units` its number of features, `fan_in` the
    number of terms of a weighted sum. `trained` says whether all its kernels are `nnx.Param`.

    `reads` are the layers, by index, whose outputs it reads (-1: the batch), and `is_end` says
    whether the network's output reads it directly (see `jcnn.tracing.LayerGraph`); None stands for
    a chain. `cut_off` says why no gradient is expected: "unused" if the output does not depend on
    the layer, "cut off" if `jax.lax.stop_gradient` is on every path to it. `usually_saturated` is
    the share of elements that the activation saturates for a standard normal input.
    """

    name: str
    kind: str = ""
    activation: str | None = None
    shape: tuple[int, ...] = ()
    units: int = 0
    fan_in: int = 0
    trained: bool = True
    reads: tuple[int, ...] | None = None
    is_end: bool = False
    cut_off: str = ""
    usually_saturated: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LayerReport(LayerInfo):
    """One call of a layer with weights, and the activation that follows it; NaN: not measured.

    Forward: `mean` and `std` of its output (of the activation, if one follows), `saturated` the
    share of elements where the activation's slope is below 5% of its maximum (None unless it
    levels off at both ends), `dead` the share of units whose slope is 0 for every example (None
    unless it levels off at one), `effective_rank` that of the weighted sums over examples and
    positions, `exp(H)` of the centred singular values as shares (Roy & Vetterli 2007), at most
    `units`.

    Backward: `gradient` is |dL/dh| at the output, `weight_gradient` |dL/dW|, `parameter_gradient`
    that of all parameters, `update` |change of W| under the optimizer and `update_ratio` the same
    over |W|; `factor` is the gradient here over that of the layer above. Norms are Euclidean;
    `gradient` is the root mean square over examples, each with its own loss.

    `weight_variance` is the mean square of a weight times `fan_in`: about 2 for `he_normal`, 1 for
    `lecun_normal`.

    `off_at_start` says that gradients that are exactly 0 here, or at the weights, become others
    within a few steps: a branch that begins at zero, or that chance left out. `later_rank` is the
    effective rank then, of a layer whose output begins constant. `input_rank` is that of the
    layer's input, measured if the layer's own is near 1.

    `verdict` is the kind of the first verdict that starts at this layer, "off at start", "cut off"
    or "unused" if its gradient says nothing, or "healthy".
    `singular_values` are those of d output / d input of the layer for one example, if requested.
    """

    mean: float = math.nan
    std: float
    saturated: float | None
    dead: float | None
    effective_rank: float = math.nan
    gradient: float
    factor: float | None = None
    weight_gradient: float = math.nan
    parameter_gradient: float = math.nan
    update: float
    update_ratio: float
    weight_variance: float = math.nan
    off_at_start: bool = False
    later_rank: float = math.nan
    input_rank: float = math.nan
    verdict: str = "healthy"
    singular_values: SingularValues | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are part of a diagnosis as JSON."""
        return {name: getattr(self, name) for name in _JSON_FIELDS}
