"""Jordan 2023: how much test accuracy varies over seeds, compared with independent errors."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from harness.subsets import subset
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compare the spread over seeds with independent errors, for short and long training."""
    data = subset("fashion-mnist", train=configuration["train"], shrink=2)
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
        row = measurements.run(study, name).ranking()[0]
        study = Study(**_settings(study), seeds=configuration["seeds"])
        prepared = study.prepare()
        models = train_seeds(study, 0, row.learning_rate, prepared=prepared)
        outputs = (network_outputs(m, data.test_inputs, prepared.data) for m in models)
        correct = np.array([o.argmax(axis=-1) == data.test_targets for o in outputs])
        accuracies = 100 * correct.mean(axis=1)
        # The spread if each example were correct independently, with its frequency over the seeds.
        seeds, n = correct.shape
        share = correct.mean(axis=0)
        independent = math.sqrt((share * (1 - share)).sum() * seeds / (seeds - 1)) / n * 100
        measurements.add(f"{name}: test accuracy, %", *accuracies)
        measurements.add(f"{name}: spread of independent errors, points", independent)
        groups = accuracies.reshape(8, -1)  # eight groups of seeds, so that there is an interval
        measurements.add(f"{name}: spread over seeds, points", *groups.std(axis=1, ddof=1))
        measurements.add(
            f"{name}: spread relative to independent errors", accuracies.std(ddof=1) / independent
        )


def _settings(study: Study) -> dict[str, Any]:
    names = ("data", "factors", "learning_rates", "epochs")
    return {name: getattr(study, name) for name in names}


CLAIM = Claim(
    name="jordan2023-variance",
    source="Jordan 2023, sections 3.1 and 3.2",
    statement="After long training, test accuracy varies over seeds about as much as if the errors "
    "of the test examples were independent; after short training it varies more.",
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
            "short: spread relative to independent errors",
            1.5,
            math.inf,
            "long: spread relative to independent errors",
        ),
        Criterion(
            "long: spread relative to independent errors",
            0.85,
            1.25,
            "short: spread relative to independent errors",
        ),
    ],
    measure=measure,
)
