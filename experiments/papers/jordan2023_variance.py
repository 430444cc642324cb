"""Jordan 2023: how much test accuracy varies over seeds, against independent errors."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.claim import Claim, Criterion
from harness.found import Found
from harness.images import images
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Spread over seeds, short and long, over what examples that err independently would give."""
    data = images("fashion-mnist", train=configuration["train"], shrink=2)
    for name, epochs in configuration["epochs"].items():
        study = Study(
            data=data,
            factors={
                "features": [(8, 16)],
                "hidden": {"none": ()},
                "schedule": ["linear"],
                "kernel_init": ["he_untruncated_normal"],
            },
            learning_rates=configuration["learning_rates"],
            seeds=configuration["tuning_seeds"],
            epochs=epochs,
        )
        row = found.run(study, name).ranking()[0]
        many = Study(**_same(study), seeds=configuration["seeds"])
        prepared = many.prepare()
        models = train_seeds(many, 0, row.learning_rate, prepared=prepared)
        outputs = (network_outputs(m, data.test_inputs, prepared.data) for m in models)
        right = np.array([o.argmax(axis=-1) == data.test_targets for o in outputs])
        accuracies = 100 * right.mean(axis=1)
        # The variance of a mean of independent examples, each right as often as over the seeds.
        seeds, n = right.shape
        share = right.mean(axis=0)
        independent = math.sqrt((share * (1 - share)).sum() * seeds / (seeds - 1)) / n * 100
        found.add(f"{name}: test accuracy, %", *accuracies)
        found.add(f"{name}: spread of independent errors, points", independent)
        halves = accuracies.reshape(8, -1)  # a figure with an interval, from eight groups of seeds
        found.add(f"{name}: spread over seeds, points", *halves.std(axis=1, ddof=1))
        found.add(
            f"{name}: spread over that of independent errors", accuracies.std(ddof=1) / independent
        )


def _same(study: Study) -> dict[str, Any]:
    names = ("data", "factors", "learning_rates", "epochs")
    return {name: getattr(study, name) for name in names}


CLAIM = Claim(
    name="jordan2023-variance",
    source="Jordan 2023, sections 3.1 and 3.2",
    statement="After a long training test accuracy varies over seeds about as much as if each test "
    "example erred independently; after a short one it varies more.",
    configuration={
        "train": 5000,
        "epochs": {"short": 1, "long": 16},
        "learning_rates": [0.3, 0.1, 0.03, 0.01, 0.003],
        "tuning_seeds": 4,
        "seeds": 128,
    },
    full={"train": 60_000},
    criteria=[
        Criterion(
            "short: spread over that of independent errors",
            1.5,
            math.inf,
            "long: spread over that of independent errors",
        ),
        Criterion(
            "long: spread over that of independent errors",
            0.85,
            1.25,
            "short: spread over that of independent errors",
        ),
    ],
    measure=measure,
)
