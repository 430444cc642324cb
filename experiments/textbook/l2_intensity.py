"""Does L2 pooling follow the overall intensity of its window?"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from harness.claim import Claim
from harness.found import Found
from jcnn import convolution, data, initializers, pooling
from textbook.criteria import at_least

POOLS = {"L2": pooling.l2_pool, "max": pooling.max_pool, "average": pooling.avg_pool}
WINDOW = (2, 2)
MEAN, ENERGY = "correlation with the window's mean", "correlation with the window's energy"
SIGNS = "images, signs drawn"


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Correlations over windows of digits, and of maps that a random first layer makes of them."""
    digits = data.load("digits")
    images = jnp.asarray(digits.test_inputs[: configuration["examples"]], jnp.float32) / 255
    for seed in range(configuration["seeds"]):
        keys = jax.random.split(jax.random.key(seed), 3)
        own = jax.random.choice(keys[0], images, (len(images) // 2,), replace=False)
        kernel = initializers.he_untruncated_normal()(keys[1], (3, 3, 1, configuration["features"]))
        # As batch normalization begins: mean 0 over examples and positions.
        maps = convolution.conv(own - own.mean(), kernel)
        maps = maps - maps.mean(axis=(0, 1, 2), keepdims=True)
        signs = jax.random.rademacher(keys[2], own.shape, own.dtype)
        for where, x in {
            "images": own,
            "feature maps": maps,
            "feature maps after relu": jax.nn.relu(maps),
            SIGNS: signs * own,
        }.items():
            _add(found, where, x)


def _add(found: Found, where: str, x: Array) -> None:
    mean = pooling.avg_pool(x, WINDOW)
    energy = jnp.sqrt(pooling.avg_pool(x * x, WINDOW))
    with_mean, with_energy = (
        {name: _correlation(pool(x, WINDOW), other) for name, pool in POOLS.items()}
        for other in (mean, energy)
    )
    found.add(f"{where}: {MEAN}", with_mean["L2"])
    found.add(f"{where}, against max: {MEAN}, L2 less max", with_mean["L2"] - with_mean["max"])
    for other in ("max", "average"):
        ahead = with_energy["L2"] - with_energy[other]
        found.add(f"{where}, energy against {other}: {ENERGY}, L2 less {other}", ahead)


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
        at_least(f"images, against max: {MEAN}, L2 less max", 0.01),
        *(
            at_least(f"{where}, energy against {other}: {ENERGY}, L2 less {other}", 0.05)
            for where in ("images", "feature maps")
            for other in ("max", "average")
        ),
    ],
    measure=measure,
)
