"""Wu & He 2018: batch normalization needs batches, group normalization does not."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, row_of
from harness.images import images
from jcnn import layers

# Running statistics average over as many examples, whatever the batch: these steps of 32.
STEPS_OF_32 = 100


def batch_norm(batch_size: int, num_features: int, *, rngs: Any) -> layers.BatchNorm:
    """Batch normalization whose running statistics are those of 3,200 examples or so."""
    momentum = 1 - batch_size / (32 * STEPS_OF_32)
    return layers.BatchNorm(num_features, momentum=momentum, rngs=rngs)


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Test errors in percent of both normalizations, in batches of 32 and of 2."""
    data = images("fashion-mnist", train=configuration["train"])
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
        result = found.run(study, f"batches of {size}")
        for name in ("batch norm", "group norm"):
            values = np.nan_to_num(row_of(result, normalization=name).values)
            errors[name, size] = 100 * (1 - values)
            found.add(f"{name}, batches of {size}: test error, %", *errors[name, size])
    for name in ("batch norm", "group norm"):
        found.add(
            f"{name}: error in batches of 2 less that of 32, points",
            *(errors[name, 2] - errors[name, 32]),
        )
    found.add(
        "error of batch norm less group norm's, batches of 2, points",
        *(errors["batch norm", 2] - errors["group norm", 2]),
    )
    found.add(
        "error of batch norm less group norm's, batches of 32, points",
        *(errors["batch norm", 32] - errors["group norm", 32]),
    )


CLAIM = Claim(
    name="wu2018-groupnorm",
    source="Wu & He 2018, section 4.1 and figure 1",
    statement="From batches of 32 to batches of 2, the error with batch normalization grows by "
    "points, and with group normalization hardly.",
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
            "batch norm: error in batches of 2 less that of 32, points",
            3.0,
            math.inf,
            "group norm: error in batches of 2 less that of 32, points",
        ),
        Criterion(
            "group norm: error in batches of 2 less that of 32, points",
            -math.inf,
            1.0,
            "batch norm: error in batches of 2 less that of 32, points",
        ),
        Criterion(
            "error of batch norm less group norm's, batches of 2, points",
            3.0,
            math.inf,
            "error of batch norm less group norm's, batches of 32, points",
        ),
    ],
    measure=measure,
)
