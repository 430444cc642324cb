"""The diagnosis of a network: its layers, what is wrong with them, and what would help."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from jcnn import strict_json
from jcnn.diagnosis.layer_report import LayerInfo, LayerReport
from jcnn.diagnosis.measure import LayerFigures
from jcnn.diagnosis.remedies import Remedy, remedy
from jcnn.diagnosis.singular import SingularValues
from jcnn.diagnosis.verdicts import Verdict, graph_of, verdicts


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Layers in the order of their calls, what is wrong with them, and what would help.

    `unseen` are weights that are used only where they cannot be measured: in a loop that is too
    long to be unrolled, or whose length is not known, or in a branch. `unused` are weights that the
    model does not use. `changes` are the remedies as factors of a study.
    """

    layers: Sequence[LayerReport]
    verdicts: Sequence[Verdict]
    remedies: Sequence[str]
    loss: float
    singular_values: SingularValues | None = None
    unseen: Sequence[str] = ()
    unused: Sequence[str] = ()
    changes: Sequence[Mapping[str, str]] = ()

    @property
    def verdict(self) -> str:
        """The most specific fault, "not seen" if some weights are `unseen`, or "healthy"."""
        if self.verdicts:
            return self.verdicts[0].kind
        return "not seen" if self.unseen else "healthy"

    @property
    def gradient_ratio(self) -> float:
        """|dL/dh| of the first layer over that of the last hidden one."""
        return gradient_ratio([layer.gradient for layer in self.layers])

    def to_json(self) -> str:
        """Return the diagnosis as strict JSON: a number that is not finite is null."""
        return strict_json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON holds, by name."""
        return {
            "verdict": self.verdict,
            "loss": self.loss,
            "gradient_ratio": self.gradient_ratio,
            "verdicts": self.verdicts,
            "remedies": self.remedies,
            "unseen": self.unseen,
            "unused": self.unused,
            "singular_values": self.singular_values,
            "layers": [layer.to_dict() for layer in self.layers],
        }


def gradient_ratio(gradients: Sequence[float]) -> float:
    """Return the gradient of the first layer over that of the last but one; NaN if that is 0."""
    hidden = gradients[:-1] or gradients
    return hidden[0] / hidden[-1] if hidden[-1] else math.nan


def diagnose_figures(
    layers: Sequence[LayerInfo],
    figures: LayerFigures,
    *,
    effective_ranks: Sequence[float],
    loss: float,
    later_ranks: Sequence[float] | None = None,
    input_ranks: Sequence[float] | None = None,
    off_at_start: Sequence[bool] | None = None,
    unseen: Sequence[str] = (),
    unused: Sequence[str] = (),
    normalizations: Collection[str] = (),
) -> Diagnosis:
    """Return the diagnosis of a network from the figures of its layers.

    `off_at_start`, `later_ranks` and `input_ranks` are as in `LayerReport`, `normalizations` the
    kinds of normalization in the network.
    """
    gradients = [float(gradient) for gradient in figures.gradient]
    unknown = [math.nan] * len(layers)
    readers = graph_of(layers).readers
    above = [max((gradients[j] for j in readers[i]), default=0.0) for i in range(len(layers))]
    reports = [
        LayerReport(
            **asdict(layer),
            mean=float(figures.mean[i]),
            std=float(figures.std[i]),
            saturated=_none_if_nan(float(figures.saturated[i])),
            dead=_none_if_nan(float(figures.dead[i])),
            effective_rank=effective_ranks[i],
            gradient=gradients[i],
            factor=gradients[i] / above[i] if above[i] else None,
            weight_gradient=float(figures.weight_gradient[i]),
            parameter_gradient=float(figures.parameter_gradient[i]),
            update=float(figures.update[i]),
            update_ratio=float(figures.update[i] / weight)
            if (weight := figures.weight[i])
            else 0.0,
            off_at_start=bool(off_at_start and off_at_start[i]),
            later_rank=(later_ranks or unknown)[i],
            input_rank=(input_ranks or unknown)[i],
            weight_variance=float(figures.weight[i]) ** 2 / layer.units if layer.units else 0.0,
        )
        for i, layer in enumerate(layers)
    ]
    faults = verdicts(reports)
    # Reversed, so that a layer gets the first of the verdicts that start at it.
    kinds = {fault.layer: fault.kind for fault in reversed(faults)}
    advice = remedy(faults[0], reports, normalizations) if faults else Remedy("")
    return Diagnosis(
        layers=[
            replace(report, verdict=kinds.get(report.name, _state(report))) for report in reports
        ],
        verdicts=faults,
        remedies=[advice.sentence] if faults else [],
        changes=advice.changes,
        loss=loss,
        unseen=unseen,
        unused=unused,
    )


def _state(report: LayerReport) -> str:
    """Return what is to be said of a layer at which no verdict starts."""
    if report.cut_off:
        return report.cut_off
    return "off at start" if report.off_at_start and report.gradient == 0 else "healthy"


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
