"""Kingma & Ba 2015, figure 3: Adam, AdaGrad and SGD on a CNN."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from harness.subsets import subset

OPTIMIZERS = ("adam", "adagrad", "nesterov")


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compare training losses after the first and last epoch, each at its best learning rate."""
    study = jcnn.Study(
        data=subset("cifar10", train=configuration["train"], test=2000),
        factors={
            "features": [configuration["features"]],
            "hidden": [configuration["hidden"]],
            "kernel_init": ["he_untruncated_normal"],
            "optimizer": OPTIMIZERS,
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = measurements.run(study, "cifar10")
    # Those notes are on the rate that is best on validation; here training loss chooses it.
    measurements.notes = [note for note in measurements.notes if "at the edge" not in note]
    losses = {name: _losses(result, name, measurements) for name in OPTIMIZERS}
    for name, values in losses.items():
        measurements.add(f"{name}: training loss after epoch 1", *values[:, 0])
        measurements.add(f"{name}: training loss at the end", *values[:, -1])
    first = {name: values[:, 0] for name, values in losses.items()}
    last = {name: values[:, -1] for name, values in losses.items()}
    for name in ("adam", "adagrad"):
        measurements.add(
            f"epoch 1: {name}'s loss over nesterov's", *first[name] / first["nesterov"]
        )
    better = np.minimum(last["adam"], last["nesterov"])
    measurements.add("end: adagrad's loss over the better of the others", *last["adagrad"] / better)
    measurements.add("end: adam's loss over nesterov's", *last["adam"] / last["nesterov"])


def _losses(result: jcnn.Result, optimizer: str, measurements: Measurements) -> np.ndarray:
    """Return losses `(seeds, epochs)` at the learning rate with the lowest final mean loss."""
    by_rate: dict[float, list[list[float]]] = {}
    for run in result.records:
        if result.combinations[run.combination]["optimizer"] == optimizer:
            by_rate.setdefault(run.learning_rate, []).append(run.outcome.curves["train_loss"])

    def final_loss(rate: float) -> float:
        mean = float(np.mean([curve[-1] for curve in by_rate[rate]]))
        return mean if math.isfinite(mean) else math.inf

    best = min(by_rate, key=final_loss)
    if best in (min(by_rate), max(by_rate)):
        measurements.notes.append(
            f"{optimizer}: the best rate, {best:g}, is at the edge of those tried"
        )
    return np.array(by_rate[best])


CLAIM = Claim(
    name="adam2014-cnn",
    source="Kingma & Ba 2015, section 6.3 and figure 3",
    statement="On a CNN, Adam and AdaGrad are fastest in the first epochs, AdaGrad is far behind "
    "later, and Adam is only marginally better than SGD with momentum.",
    configuration={
        "train": 10_000,
        "features": (8, 8, 16),
        "hidden": (128,),
        "learning_rates": [0.03, 0.01, 0.003, 0.001],
        "seeds": 3,
        "epochs": 10,
    },
    full={"train": 50_000, "features": (64, 64, 128), "hidden": (1000,), "epochs": 45},
    criteria=[
        Criterion("epoch 1: adam's loss over nesterov's", 0.0, 1.0, of="interval"),
        Criterion("epoch 1: adagrad's loss over nesterov's", 0.0, 1.0, of="interval"),
        Criterion(
            "end: adagrad's loss over the better of the others",
            1.5,
            math.inf,
            "end: adam's loss over nesterov's",
        ),
        Criterion(
            "end: adam's loss over nesterov's",
            0.5,
            1.2,
            "end: adagrad's loss over the better of the others",
        ),
    ],
    measure=measure,
)
