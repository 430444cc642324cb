"""Mishkin & Matas 2016: what a network of 17 sigmoid layers needs to train."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from harness.networks import unpooled_cnn
from harness.subsets import subset
from jcnn import initializers

INITS = {
    "glorot_normal": initializers.glorot_untruncated_normal(),
    "he_normal": initializers.he_untruncated_normal(),
    "orthogonal": initializers.orthogonal(),
    "lsuv": initializers.lsuv_orthogonal(),
}
ACTIVATIONS = ("relu", "tanh", "sigmoid")


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure all accuracies, and that of each activation and norm at its best initialization."""
    study = jcnn.Study(
        data=subset("fashion-mnist", train=configuration["train"], test=2000, shrink=4),
        model=unpooled_cnn,
        factors={
            "activation": ACTIVATIONS,
            "normalization": ["none", "batch"],
            "kernel_init": INITS,
            "depth": [configuration["depth"]],
            "width": [configuration["width"]],
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=32,
    )
    result = measurements.run(study, "tower")
    best: dict[tuple[str, str], np.ndarray] = {}
    for activation in ACTIVATIONS:
        for norm in ("none", "batch"):
            rows = {
                init: find_row(result, activation=activation, normalization=norm, kernel_init=init)
                for init in INITS
            }
            for init, row in rows.items():
                measurements.add_accuracies(f"{activation}, {norm}, {init}: test accuracy", row)
            chosen = max(rows.values(), key=lambda row: np.nan_to_num(row.validation))
            best[activation, norm] = np.nan_to_num(chosen.values)
            measurements.add(
                f"{activation}, {norm}, best init: test accuracy", *best[activation, norm]
            )
    gap = best["relu", "batch"] - best["sigmoid", "batch"]
    measurements.add("relu minus sigmoid, both with batch norm, points", *100 * gap)
    gap = best["relu", "none"] - best["sigmoid", "none"]
    measurements.add("relu minus sigmoid, both without batch norm, points", *100 * gap)


CLAIM = Claim(
    name="lsuv2015-sigmoid17",
    source="Mishkin & Matas 2016, table 6 (CaffeNet128 and FitNet variants), recalled",
    statement="A network of 17 sigmoid layers trains from no initialization, but with batch "
    "normalization it does, nearly as well as relu; relu and tanh train from LSUV without it.",
    configuration={
        "train": 1280,
        "depth": 17,
        "width": 16,
        "learning_rates": [0.03, 0.01, 0.003],
        "seeds": 2,
        "epochs": 6,
    },
    full={"train": 60_000, "width": 64, "seeds": 5, "epochs": 20},
    criteria=[
        Criterion(
            "sigmoid, none, best init: test accuracy",
            0.0,
            0.15,
            "sigmoid, batch, best init: test accuracy",
        ),
        Criterion(
            "relu, none, lsuv: test accuracy", 0.7, 1.0, "sigmoid, none, lsuv: test accuracy"
        ),
        Criterion(
            "tanh, none, lsuv: test accuracy", 0.7, 1.0, "sigmoid, none, lsuv: test accuracy"
        ),
        Criterion(
            "sigmoid, batch, best init: test accuracy",
            0.7,
            1.0,
            "sigmoid, none, best init: test accuracy",
        ),
        Criterion(
            "relu minus sigmoid, both with batch norm, points",
            -math.inf,
            10.0,
            "relu minus sigmoid, both without batch norm, points",
        ),
    ],
    measure=measure,
)
