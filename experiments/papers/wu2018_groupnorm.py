"""Wu & He 2018: batch normalization needs large batches, group normalization does not."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from harness.subsets import subset
from jcnn import layers

# Running statistics average over the same number of examples at every batch size.
STEPS_OF_32 = 100


def batch_norm(batch_size: int, num_features: int, *, rngs: Any) -> layers.BatchNorm:
    """Build batch normalization with running statistics over about 3,200 examples."""
    momentum = 1 - batch_size / (32 * STEPS_OF_32)
    return layers.BatchNorm(num_features, momentum=momentum, rngs=rngs)


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure test errors of both normalizations with batches of 32 and of 2."""
    data = subset("fashion-mnist", train=configuration["train"])
    errors: dict[tuple[str, int], np.ndarray] = {}
    for size in (32, 2):
        study = jcnn.Study(
            data=data,
            factors={
                "features": [configuration["features"]],
                "hidden": {"none": ()},
                "kernel_init": ["he_untruncated_normal"],
                "normalization": {
                    "batch norm": partial(batch_norm, size),
                    "group norm": layers.group_norm,
                },
            },
            learning_rates=[rate * size / 32 for rate in configuration["learning_rates"]],
            seeds=configuration["seeds"],
            epochs=configuration["epochs"],
            batch_size=size,
        )
        result = measurements.run(study, f"batches of {size}")
        for name in ("batch norm", "group norm"):
            values = np.nan_to_num(find_row(result, normalization=name).values)
            errors[name, size] = 100 * (1 - values)
            measurements.add(f"{name}, batches of {size}: test error, %", *errors[name, size])
    for name in ("batch norm", "group norm"):
        measurements.add(
            f"{name}: error with batches of 2 minus that with 32, points",
            *(errors[name, 2] - errors[name, 32]),
        )
    measurements.add(
        "error of batch norm minus group norm's, batches of 2, points",
        *(errors["batch norm", 2] - errors["group norm", 2]),
    )
    measurements.add(
        "error of batch norm minus group norm's, batches of 32, points",
        *(errors["batch norm", 32] - errors["group norm", 32]),
    )


CLAIM = Claim(
    name="wu2018-groupnorm",
    source="Wu & He 2018, section 4.1 and figure 1",
    statement="From batches of 32 to batches of 2, the error grows by several points with batch "
    "normalization, and hardly at all with group normalization.",
    configuration={
        "train": 20_000,
        "features": (8, 16, 32),
        "learning_rates": [0.1, 0.03, 0.01],
        "seeds": 3,
        "epochs": 3,
    },
    full={"train": 60_000, "features": (32, 64, 128), "epochs": 20, "seeds": 5},
    criteria=[
        Criterion(
            "batch norm: error with batches of 2 minus that with 32, points",
            3.0,
            math.inf,
            "group norm: error with batches of 2 minus that with 32, points",
        ),
        Criterion(
            "group norm: error with batches of 2 minus that with 32, points",
            -math.inf,
            1.0,
            "batch norm: error with batches of 2 minus that with 32, points",
        ),
        Criterion(
            "error of batch norm minus group norm's, batches of 2, points",
            3.0,
            math.inf,
            "error of batch norm minus group norm's, batches of 32, points",
        ),
    ],
    measure=measure,
)
