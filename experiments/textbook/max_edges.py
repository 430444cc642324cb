"""Does max pooling preserve edges that average pooling blurs?"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from harness.claim import Claim
from harness.measurements import Measurements
from jcnn import data, pooling
from textbook.shared.criteria import at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
BACKGROUNDS = {"bright on dark": lambda x: x, "dark on bright": lambda x: 1 - x}
STRENGTH = "contrast between neighbouring blocks, max over average"
PLACE = "correlation with the original edges, max minus average"
FLAT = "no detail within blocks"
GROUPS = 8


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure the edges of original and inverted images after pooling by 2."""
    for name in configuration["images"]:
        dataset = data.load(name)
        images = dataset.test_inputs[: configuration["examples"]].astype(np.float32) / 255
        for group in np.array_split(images, GROUPS):
            for background, transform in BACKGROUNDS.items():
                _add(measurements, f"{name}, {background}", transform(group))
            # Without detail inside blocks both poolings are equal.
            _add(measurements, f"{name}, {FLAT}", group.repeat(2, axis=1).repeat(2, axis=2))


def _add(measurements: Measurements, where: str, images: np.ndarray) -> None:
    x = jnp.asarray(images)
    pooled = {name: np.asarray(pool(x, (2, 2))) for name, pool in POOLS.items()}
    strength = {name: np.mean(edges(output)) for name, output in pooled.items()}
    measurements.add(f"{where}: {STRENGTH}", strength["max"] / strength["average"])
    before = np.asarray(pooling.avg_pool(jnp.asarray(edges(images)), (2, 2)))
    location = {
        name: np.corrcoef(edges(output).ravel(), before.ravel())[0, 1]
        for name, output in pooled.items()
    }
    measurements.add(f"{where}, place: {PLACE}", location["max"] - location["average"])


def edges(images: np.ndarray) -> np.ndarray:
    """Return the sum of absolute differences to the next pixel below and to the right."""
    down = np.abs(np.diff(images, axis=1, append=images[:, -1:]))
    right = np.abs(np.diff(images, axis=2, append=images[:, :, -1:]))
    return down + right


CLAIM = Claim(
    name="max-edges",
    source="usual in textbooks",
    statement="Max pooling keeps edges, average pooling blurs them.",
    # Digits have strokes one or two pixels wide, Fashion-MNIST has broad areas.
    configuration={"images": ("digits", "fashion-mnist"), "examples": 2000},
    quick={"images": ("digits",)},
    criteria=[
        at_least(f"{name}, {background}{figure}", low, f"{name}, {FLAT}{figure}")
        for figure, low in ((f": {STRENGTH}", 1.05), (f", place: {PLACE}", 0.01))
        for name in ("digits", "fashion-mnist")
        for background in BACKGROUNDS
    ],
    measure=measure,
)
