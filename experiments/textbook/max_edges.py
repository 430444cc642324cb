"""Does max pooling keep edges, where average pooling blurs them?"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from harness.claim import Claim
from harness.found import Found
from jcnn import data, pooling
from textbook.criteria import at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
GROUND = {"bright on dark": lambda x: x, "dark on bright": lambda x: 1 - x}
STRENGTH = "contrast across the borders of blocks, max over average"
PLACE = "correlation with where the edges were, max less average"
FLAT = "nothing finer than a block"
GROUPS = 8


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """What is left of edges after pooling by 2, of images as they are and inverted."""
    for name in configuration["images"]:
        whole = data.load(name)
        images = whole.test_inputs[: configuration["examples"]].astype(np.float32) / 255
        for group in np.array_split(images, GROUPS):
            for ground, paint in GROUND.items():
                _add(found, f"{name}, {ground}", paint(group))
            # Without structure inside blocks both poolings are the same.
            _add(found, f"{name}, {FLAT}", group.repeat(2, axis=1).repeat(2, axis=2))


def _add(found: Found, where: str, images: np.ndarray) -> None:
    x = jnp.asarray(images)
    pooled = {name: np.asarray(pool(x, (2, 2))) for name, pool in POOLS.items()}
    strength = {name: np.mean(edges(one)) for name, one in pooled.items()}
    found.add(f"{where}: {STRENGTH}", strength["max"] / strength["average"])
    before = np.asarray(pooling.avg_pool(jnp.asarray(edges(images)), (2, 2)))
    place = {
        name: np.corrcoef(edges(one).ravel(), before.ravel())[0, 1] for name, one in pooled.items()
    }
    found.add(f"{where}, place: {PLACE}", place["max"] - place["average"])


def edges(images: np.ndarray) -> np.ndarray:
    """At each position the differences to the next one to the right and below, in size, added."""
    down = np.abs(np.diff(images, axis=1, append=images[:, -1:]))
    right = np.abs(np.diff(images, axis=2, append=images[:, :, -1:]))
    return down + right


CLAIM = Claim(
    name="max-edges",
    source="usual in textbooks",
    statement="Max pooling keeps edges, average pooling blurs them.",
    # Strokes that are one or two pixels wide, and broad areas.
    configuration={"images": ("digits", "fashion-mnist"), "examples": 2000},
    quick={"images": ("digits",)},
    criteria=[
        at_least(f"{name}, {ground}{figure}", low, f"{name}, {FLAT}{figure}")
        for figure, low in ((f": {STRENGTH}", 1.05), (f", place: {PLACE}", 0.01))
        for name in ("digits", "fashion-mnist")
        for ground in GROUND
    ],
    measure=measure,
)
