"""The diagnosis of a network: its layers, what is wrong with them, and what would help."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from jcnn import strict_json
from jcnn.diagnosis.layer_report import LayerInfo, LayerReport
from jcnn.diagnosis.measure import LayerFigures
from jcnn.diagnosis.remedies import remedy
from jcnn.diagnosis.singular import SingularValues
from jcnn.diagnosis.verdicts import Verdict, verdicts


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Layers in the order of their calls, what is wrong (nothing: healthy), and what would help.

    `unseen` are layers with weights that are not among `layers`: not called, or inside a loop.
    """

    layers: Sequence[LayerReport]
    verdicts: Sequence[Verdict]
    remedies: Sequence[str]
    loss: float
    singular_values: SingularValues | None = None
    unseen: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """The most specific fault, or "healthy"."""
        return self.verdicts[0].kind if self.verdicts else "healthy"

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
    unseen: Sequence[str] = (),
) -> Diagnosis:
    """Return the diagnosis of a network from the figures of its layers."""
    gradients = [float(gradient) for gradient in figures.gradient]
    above = [*gradients[1:], 0.0]
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
        )
        for i, layer in enumerate(layers)
    ]
    faults = verdicts(reports)
    # Reversed, so that a layer gets the first of the verdicts that start at it.
    kinds = {fault.layer: fault.kind for fault in reversed(faults)}
    activation = next((layer.activation for layer in layers if layer.activation), None)
    return Diagnosis(
        layers=[replace(report, verdict=kinds.get(report.name, "healthy")) for report in reports],
        verdicts=faults,
        remedies=[remedy(fault, activation) for fault in faults[:1]],
        loss=loss,
        unseen=unseen,
    )


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
