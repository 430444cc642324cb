"""Mishkin & Matas 2016: what a 17-layer net of sigmoids takes to train."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, row_of
from harness.images import images
from harness.nets import tower
from jcnn import initializers

INITS = {
    "glorot_normal": initializers.glorot_untruncated_normal(),
    "he_normal": initializers.he_untruncated_normal(),
    "orthogonal": initializers.orthogonal(),
    "lsuv": initializers.lsuv_orthogonal(),
}
ACTIVATIONS = ("relu", "tanh", "sigmoid")


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Test accuracies of all; each pair of activation and norm at its best initialization too."""
    study = jcnn.Study(
        data=images("fashion-mnist", train=configuration["train"], test=2000, shrink=4),
        model=tower,
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
    result = found.run(study, "tower")
    best: dict[tuple[str, str], np.ndarray] = {}
    for activation in ACTIVATIONS:
        for norm in ("none", "batch"):
            rows = {
                init: row_of(result, activation=activation, normalization=norm, kernel_init=init)
                for init in INITS
            }
            for init, row in rows.items():
                found.accuracies(f"{activation}, {norm}, {init}: test accuracy", row)
            chosen = max(rows.values(), key=lambda row: np.nan_to_num(row.validation))
            best[activation, norm] = np.nan_to_num(chosen.values)
            found.add(f"{activation}, {norm}, best init: test accuracy", *best[activation, norm])
    gap = best["relu", "batch"] - best["sigmoid", "batch"]
    found.add("relu less sigmoid, both with batch norm, points", *100 * gap)
    gap = best["relu", "none"] - best["sigmoid", "none"]
    found.add("relu less sigmoid, both without, points", *100 * gap)


CLAIM = Claim(
    name="lsuv2015-sigmoid17",
    source="Mishkin & Matas 2016, table 6 (CaffeNet128 and FitNet variants), recalled",
    statement="A net of 17 sigmoid layers trains from no initialization; with batch normalization "
    "it does, nearly as well as with relu; relu and tanh train from LSUV without it.",
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
            "relu less sigmoid, both with batch norm, points",
            -math.inf,
            10.0,
            "relu less sigmoid, both without, points",
        ),
    ],
    measure=measure,
)
