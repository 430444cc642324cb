"""What the page shows of a network: measured signals, predicted ones, and feature maps.

Numbers that are not finite are sent as null (`jcnn.strict_json`).
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

# Draws of the weights that a prediction averages over, and feature maps shown per layer.
DRAWS = 4
MAPS = 8
# The number of examples that can be chosen: the first of the batch, which begins with each class.
SHOWN = 12


def flow(subject: Subject, model: Sequential, example: int = 0) -> dict[str, Any]:
    """Measure the layers on the subject's batch, diagnose them, and draw one example's maps."""
    result = diagnose_layerwise(model, subject.x, subject.labels, losses.cross_entropy)
    diagnosis = result.diagnosis
    return {
        "layers": [layer.name for layer in diagnosis.layers],
        "std": [layer.std for layer in diagnosis.layers],
        "gradient": [layer.gradient for layer in diagnosis.layers],
        "verdict": diagnosis.verdict,
        "sentences": [
            f"{each.kind} at {each.layer}: {each.sentence}" for each in diagnosis.verdicts
        ],
        "remedies": list(diagnosis.remedies),
        "maps": _maps(result.values, diagnosis, example),
        "shares": _softmax(np.asarray(result.outputs[example], np.float64)),
    }


def expected(subject: Subject, model: Sequential) -> dict[str, Any]:
    """Return the mean-field predictions for the layers of `flow`."""
    prediction = mean_field_layerwise(
        model, subject.x, subject.labels, losses.cross_entropy, draws=DRAWS
    )
    return {"std": prediction.std, "gradient": prediction.gradient}


def examples(subject: Subject) -> list[dict[str, Any]]:
    """Return the images that can be chosen, with their labels."""
    shown = zip(subject.images[:SHOWN], np.asarray(subject.labels[:SHOWN]), strict=True)
    return [
        {"label": subject.classes[int(label)], "image": _picture(_flat(np.asarray(image)))}
        for image, label in shown
    ]


def _maps(values: dict[str, Array], diagnosis: Diagnosis, example: int) -> list[dict[str, Any]]:
    """Return the first feature maps of each layer with positions, on one scale per layer."""
    maps = []
    for layer in diagnosis.layers:
        value = np.asarray(values[layer.name][example], np.float32)
        if value.ndim < 2:
            continue
        planes = [_flat(value[..., i : i + 1]) for i in range(min(MAPS, value.shape[-1]))]
        low, high = float(np.min(value)), float(np.max(value))
        maps.append(
            {
                "layer": layer.name,
                "low": low,
                "high": high,
                "maps": [_picture(plane, low, high) for plane in planes],
            }
        )
    return maps


def _flat(image: np.ndarray) -> np.ndarray:
    """Return one plane `(rows, columns)`: a series as one row, the middle of a volume or clip."""
    plane = image.astype(np.float32).mean(axis=-1)
    while plane.ndim > 2:
        plane = plane[len(plane) // 2]
    return plane[None] if plane.ndim == 1 else plane


def _picture(plane: np.ndarray, low: float | None = None, high: float | None = None) -> Any:
    """Return the shape and base64-encoded grey levels, linear from `low` to `high`."""
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
    return [float(share) for share in shares / shares.sum()]
