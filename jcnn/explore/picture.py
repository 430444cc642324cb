"""What a page is shown of a network: its layers' figures, what theory expects, what they see.

Numbers that are not finite become null on their way (`jcnn.strict_json`).
"""

import base64
import math
from typing import Any

import numpy as np
from jax import Array

from jcnn import losses
from jcnn.diagnosis import Diagnosis, diagnose_layerwise, mean_field_layerwise
from jcnn.explore.subject import Subject
from jcnn.layers import Sequential

# Draws of the weights that a prediction averages over, and feature maps shown of a layer.
DRAWS = 4
MAPS = 8
# Examples whose maps can be chosen, by their place in the batch.
SHOWN = 12


def flow(subject: Subject, model: Sequential, example: int = 0) -> dict[str, Any]:
    """The layers' figures on the subject's batch, what is wrong, and one example's feature maps."""
    result = diagnose_layerwise(model, subject.x, subject.labels, losses.cross_entropy)
    found = result.diagnosis
    return {
        "layers": [one.name for one in found.layers],
        "std": [one.std for one in found.layers],
        "gradient": [one.gradient for one in found.layers],
        "verdict": found.verdict,
        "sentences": [f"{one.kind} at {one.layer}: {one.sentence}" for one in found.verdicts],
        "remedies": list(found.remedies),
        "maps": _maps(result.values, found, example),
        "shares": _softmax(np.asarray(result.outputs[example], np.float64)),
    }


def expected(subject: Subject, model: Sequential) -> dict[str, Any]:
    """What mean-field theory expects of the same layers, as `flow` names them."""
    prediction = mean_field_layerwise(
        model, subject.x, subject.labels, losses.cross_entropy, draws=DRAWS
    )
    return {"std": prediction.std, "gradient": prediction.gradient}


def examples(subject: Subject) -> list[dict[str, Any]]:
    """The images whose feature maps can be chosen."""
    shown = zip(subject.images[:SHOWN], np.asarray(subject.labels[:SHOWN]), strict=True)
    return [
        {"label": subject.classes[int(label)], "image": _picture(_flat(np.asarray(image)))}
        for image, label in shown
    ]


def _maps(values: dict[str, Array], found: Diagnosis, example: int) -> list[dict[str, Any]]:
    """The first feature maps of each layer that has positions, over one scale a layer."""
    told = []
    for layer in found.layers:
        value = np.asarray(values[layer.name][example], np.float32)
        if value.ndim < 2:
            continue
        planes = [_flat(value[..., i : i + 1]) for i in range(min(MAPS, value.shape[-1]))]
        low, high = float(np.min(value)), float(np.max(value))
        told.append(
            {
                "layer": layer.name,
                "low": low,
                "high": high,
                "maps": [_picture(plane, low, high) for plane in planes],
            }
        )
    return told


def _flat(image: np.ndarray) -> np.ndarray:
    """One image `(rows, columns)`: of a series its one row, of a volume or clip its middle."""
    plane = image.astype(np.float32).mean(axis=-1)
    while plane.ndim > 2:
        plane = plane[len(plane) // 2]
    return plane[None] if plane.ndim == 1 else plane


def _picture(plane: np.ndarray, low: float | None = None, high: float | None = None) -> Any:
    """Bytes of grey, row by row, in base64, with the shape; grey is linear from `low` to `high`."""
    low = float(plane.min()) if low is None else low
    high = float(plane.max()) if high is None else high
    spread = high - low
    if not math.isfinite(spread) or spread <= 0:
        grey = np.full(plane.shape, 128, np.uint8)
    else:
        grey = np.clip(255 * ((plane - low) / spread), 0, 255).astype(np.uint8)
    rows, columns = plane.shape
    return {"rows": rows, "columns": columns, "grey": base64.b64encode(grey.tobytes()).decode()}


def _softmax(logits: np.ndarray) -> list[float | None]:
    if not np.isfinite(logits).all():
        return [None] * len(logits)
    shares = np.exp(logits - logits.max())
    return [float(one) for one in shares / shares.sum()]
