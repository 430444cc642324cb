"""What a network's figures come to: its layers, what is wrong with them, and what would help."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jcnn import strict_json
from jcnn.diagnosis.remedies import remedy
from jcnn.diagnosis.singular import SingularValues
from jcnn.diagnosis.verdicts import Figures, Verdict, verdicts

# Rows of a layer's output that its effective rank is taken of.
_MOST_ROWS = 4096


class Place(NamedTuple):
    """What is known of a layer with weights before any batch; see `LayerReport`.

    `shape` is that of its output for one example, `fan_in` what a weighted sum is over, `trained`
    whether all its kernels are `nnx.Param`.
    """

    name: str
    kind: str
    activation: str | None
    shape: tuple[int, ...]
    units: int
    fan_in: int
    trained: bool


@dataclass(frozen=True)
class LayerReport:
    """One call of a layer with weights, and the activation that follows it.

    Forward: `mean` and `std` of its output (of the activation, where one follows), `saturated` the
    share of elements where the activation's slope is below 5% of its greatest (None where it does
    not level off at both ends), `dead` the share of units whose slope is 0 for every example,
    `effective_rank` that of the weighted sums over examples and positions, `exp(H)` of the centred
    singular values as shares (Roy & Vetterli 2007), of at most `units`.

    Backward: `gradient` is |dL/dh| at the output, `weight_gradient` |dL/dW| and
    `update_ratio` |change of W| / |W| under the optimizer; `factor` is the gradient here over that
    of the layer above. Norms are Euclidean; `gradient` is the root mean square over examples, each
    with its own loss.

    `singular_values` are those of d output / d input of the layer for one example, where asked for.
    """

    name: str
    kind: str
    activation: str | None
    shape: tuple[int, ...]
    mean: float
    std: float
    saturated: float | None
    dead: float | None
    effective_rank: float
    units: int
    gradient: float
    factor: float | None
    weight_gradient: float
    update_ratio: float
    verdict: str
    singular_values: SingularValues | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Layers in the order of their calls, what is wrong (nothing: healthy), and what would help.

    `unseen` are layers with weights that are not among them: not called, or inside a loop.
    """

    layers: Sequence[LayerReport]
    verdicts: Sequence[Verdict]
    remedies: Sequence[str]
    loss: float
    singular_values: SingularValues | None = None
    unseen: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """The most specific thing that is wrong, or "healthy"."""
        return self.verdicts[0].kind if self.verdicts else "healthy"

    @property
    def gradient_ratio(self) -> float:
        """|dL/dh| of the first layer over that of the last hidden one."""
        hidden = self.layers[:-1] or self.layers
        top = hidden[-1].gradient
        return hidden[0].gradient / top if top else math.nan

    def to_json(self) -> str:
        """Everything, as strict JSON: a number that is not finite is null."""
        return strict_json.dumps(self.content())

    def content(self) -> dict[str, Any]:
        """Everything, by name."""
        return {
            "verdict": self.verdict,
            "loss": self.loss,
            "gradient_ratio": self.gradient_ratio,
            "verdicts": self.verdicts,
            "remedies": self.remedies,
            "unseen": self.unseen,
            "singular_values": self.singular_values,
            "layers": self.layers,
        }


def judged(
    places: Sequence[Place],
    columns: Mapping[str, np.ndarray],
    ranks: Sequence[float],
    unseen: Sequence[str] = (),
) -> Diagnosis:
    """What follows from the columns of `Measured` and the effective rank of each place."""
    figures = [_figures(place, i, columns, ranks[i]) for i, place in enumerate(places)]
    found = verdicts(figures)
    layers = [_layer(place, i, figures, columns, found) for i, place in enumerate(places)]
    activation = next((place.activation for place in places if place.activation), None)
    remedies = [remedy(one, activation) for one in found[:1]]
    return Diagnosis(layers, found, remedies, float(columns["loss"][0]), unseen=unseen)


def effective_rank(sums: np.ndarray) -> float:
    """`exp(H(p))`, p being the centred rows' singular values over their sum; 1 where they are 0."""
    rows = sums.reshape(-1, sums.shape[-1])
    rows = rows[:: max(1, -(-len(rows) // _MOST_ROWS))].astype(np.float64)
    if not np.isfinite(rows).all():
        return math.nan
    rows = rows - rows.mean(axis=0)
    # Those of a tall matrix by its Gram matrix: five times as fast, and float64 has room for it.
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    found = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
    if not found.sum():
        return 1.0
    shares = found[found > 0] / found.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _figures(place: Place, i: int, columns: Mapping[str, np.ndarray], rank: float) -> Figures:
    """What the verdicts rest on."""
    return Figures(
        place.name,
        columns["mean"][i],
        columns["std"][i],
        columns["saturated"][i],
        columns["dead"][i],
        rank,
        place.units,
        place.fan_in,
        columns["gradient"][i],
        columns["parameter_gradient"][i],
        columns["update"][i],
        place.trained,
        place.activation is not None,
    )


def _layer(
    place: Place,
    i: int,
    figures: Sequence[Figures],
    columns: Mapping[str, np.ndarray],
    found: Sequence[Verdict],
) -> LayerReport:
    one = figures[i]
    above = figures[i + 1].gradient if i + 1 < len(figures) else 0.0
    weight = columns["weight"][i]
    return LayerReport(
        place.name,
        place.kind,
        place.activation,
        place.shape,
        float(one.mean),
        float(one.std),
        None if math.isnan(one.saturated) else float(one.saturated),
        None if math.isnan(one.dead) else float(one.dead),
        one.rank,
        one.units,
        float(one.gradient),
        float(one.gradient) / float(above) if above else None,
        float(columns["weight_gradient"][i]),
        float(one.update / weight) if weight else 0.0,
        next((v.kind for v in found if v.layer == one.name), "healthy"),
    )
