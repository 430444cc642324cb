"""Does L2 pooling follow the overall intensity of its window?"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from harness.claim import Claim
from harness.measurements import Measurements
from jcnn import convolution, data, initializers, pooling
from textbook.shared.criteria import at_least

POOLS = {"L2": pooling.l2_pool, "max": pooling.max_pool, "average": pooling.avg_pool}
WINDOW = (2, 2)
MEAN, ENERGY = "correlation with the window's mean", "correlation with the window's energy"
SIGNS = "images with random signs"


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure correlations over windows of digits and of their random feature maps."""
    digits = data.load("digits")
    images = jnp.asarray(digits.test_inputs[: configuration["examples"]], jnp.float32) / 255
    for seed in range(configuration["seeds"]):
        keys = jax.random.split(jax.random.key(seed), 3)
        batch = jax.random.choice(keys[0], images, (len(images) // 2,), replace=False)
        kernel = initializers.he_untruncated_normal()(keys[1], (3, 3, 1, configuration["features"]))
        # Mean 0 over examples and positions, as after batch normalization.
        maps = convolution.conv(batch - batch.mean(), kernel)
        maps = maps - maps.mean(axis=(0, 1, 2), keepdims=True)
        signs = jax.random.rademacher(keys[2], batch.shape, batch.dtype)
        for where, x in {
            "images": batch,
            "feature maps": maps,
            "feature maps after relu": jax.nn.relu(maps),
            SIGNS: signs * batch,
        }.items():
            _add(measurements, where, x)


def _add(measurements: Measurements, where: str, x: Array) -> None:
    mean = pooling.avg_pool(x, WINDOW)
    energy = jnp.sqrt(pooling.avg_pool(x * x, WINDOW))
    with_mean, with_energy = (
        {name: _correlation(pool(x, WINDOW), other) for name, pool in POOLS.items()}
        for other in (mean, energy)
    )
    measurements.add(f"{where}: {MEAN}", with_mean["L2"])
    measurements.add(
        f"{where}, against max: {MEAN}, L2 minus max", with_mean["L2"] - with_mean["max"]
    )
    for other in ("max", "average"):
        lead = with_energy["L2"] - with_energy[other]
        measurements.add(f"{where}, energy against {other}: {ENERGY}, L2 minus {other}", lead)


def _correlation(first: Array, second: Array) -> float:
    return float(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1])


CLAIM = Claim(
    name="l2-intensity",
    source="usual in textbooks",
    statement="L2 pooling follows the overall intensity of its window.",
    configuration={"examples": 359, "features": 16, "seeds": 5},
    quick={},
    criteria=[
        *(
            at_least(f"{where}: {MEAN}", 0.9, f"{SIGNS}: {MEAN}")
            for where in ("images", "feature maps after relu", "feature maps")
        ),
        at_least(f"images, against max: {MEAN}, L2 minus max", 0.01),
        *(
            at_least(f"{where}, energy against {other}: {ENERGY}, L2 minus {other}", 0.05)
            for where in ("images", "feature maps")
            for other in ("max", "average")
        ),
    ],
    measure=measure,
)
