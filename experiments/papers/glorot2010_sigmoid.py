"""Glorot & Bengio 2010, figures 2 to 4, table 1: deep sigmoid networks, and gains for tanh."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from jcnn import initializers
from jcnn.study import Study, train_one

STANDARD, NORMALIZED = initializers.standard_uniform(), initializers.glorot_uniform()
FIVE = (256,) * 5
DEPTHS = {"depth 5": FIVE, "depth 1": FIVE[:1]}


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure layer means of sigmoid networks, their accuracies, and the initialization's gains."""
    shapes = jcnn.data.shapeset(configuration["train"], configuration["test"])
    _layers_of_sigmoids(configuration, measurements, shapes)
    _sigmoids_on_digits(configuration, measurements)
    _gains_from_initialization(configuration, measurements, shapes)


def _study(
    configuration: Mapping[str, Any], data: Any, epochs: int, **factors: Sequence | Mapping
) -> Study:
    return Study(
        data=data,
        model="mlp",
        factors={**factors, "optimizer": ["sgd"]},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        batch_size=configuration["batch_size"],
        epochs=epochs,
    )


def _layers_of_sigmoids(
    configuration: Mapping[str, Any], measurements: Measurements, shapes: jcnn.data.Dataset
) -> None:
    study = _study(
        configuration,
        shapes,
        configuration["epochs"],
        activation=["sigmoid"],
        hidden=DEPTHS,
        kernel_init={"standard": STANDARD},
    )
    result = measurements.run(study, "sigmoid on shapeset")
    for depth in DEPTHS:
        row = find_row(result, hidden=depth)
        measurements.add_accuracies(f"shapeset, sigmoid, {depth}: test accuracy", row)
        for seed in study.seed_values:
            means = _layer_means(study, row, seed)
            lowest = int(means[:, -1].argmin())
            measurements.add(f"sigmoid, {depth}: lowest mean of the top layer", means[lowest, -1])
            measurements.add(f"sigmoid, {depth}: mean of layer 1 at that epoch", means[lowest, 0])


def _sigmoids_on_digits(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    study = _study(
        configuration,
        "digits",
        configuration["digits_epochs"],
        activation=["sigmoid"],
        hidden=DEPTHS,
        kernel_init={"standard": STANDARD},
    )
    result = measurements.run(study, "sigmoid on digits")
    targets = study.prepare().dataset.test_targets
    majority = np.bincount(targets).max() / len(targets)
    for depth in DEPTHS:
        values = np.nan_to_num(find_row(result, hidden=depth).values)
        measurements.add(f"digits, sigmoid, {depth}: test accuracy", *values)
        measurements.add(
            f"digits, sigmoid, {depth}: accuracy over the majority class's", *values / majority
        )


def _gains_from_initialization(
    configuration: Mapping[str, Any], measurements: Measurements, shapes: jcnn.data.Dataset
) -> None:
    study = _study(
        configuration,
        shapes,
        configuration["epochs"],
        activation=["tanh", "softsign"],
        hidden={"depth 5": FIVE},
        kernel_init={"standard": STANDARD, "normalized": NORMALIZED},
    )
    result = measurements.run(study, "gains on shapeset")
    gains = {}
    for name in ("tanh", "softsign"):
        accuracies = {}
        for init in ("standard", "normalized"):
            row = find_row(result, activation=name, kernel_init=init)
            measurements.add_accuracies(f"shapeset, {name}, {init}: test accuracy", row)
            accuracies[init] = np.nan_to_num(row.values)
        gains[name] = 100 * (accuracies["normalized"] - accuracies["standard"])
        measurements.add(f"{name}: gain from the normalized initialization, points", *gains[name])
    measurements.add(
        "softsign's gain over tanh's", np.mean(gains["softsign"]) / np.mean(gains["tanh"])
    )


def _layer_means(study: Study, row: jcnn.study.Row, seed: int) -> np.ndarray:
    """Return the mean activation of each hidden layer on test examples, `(epochs, layers)`."""
    prepared = study.prepare()
    x = jcnn.training.normalize(jnp.asarray(prepared.dataset.test_inputs[:300]), prepared.data)
    means: list[list[float]] = []

    @jax.jit
    def activation_means(state: Any) -> list[jax.Array]:
        values = nnx.merge(graphs[0], state, copy=True).intermediates(x)[1]
        return [jnp.mean(v) for name, v in values.items() if name.startswith("activation")]

    graphs: list[Any] = []

    def record(epoch: int, model: nnx.Module) -> None:
        graph, state = nnx.split(model)
        graphs.append(graph)
        means.append([float(value) for value in activation_means(state)])

    train_one(
        study, row.combination, row.learning_rate, seed=seed, prepared=prepared, on_epoch=record
    )
    return np.array(means)


CLAIM = Claim(
    name="glorot2010-sigmoid",
    source="Glorot & Bengio 2010, sections 3.1 and 4.3, figure 2 and table 1",
    statement="In deep sigmoid networks the top layer first saturates at 0, and they hardly learn; "
    "the normalized initialization helps tanh a lot and softsign little.",
    configuration={
        "train": 12_500,
        "test": 5000,
        "learning_rates": [0.3, 0.1, 0.03],
        "batch_size": 32,
        "seeds": 3,
        "epochs": 15,
        "digits_epochs": 130,
    },
    full={"train": 100_000, "epochs": 100, "seeds": 5},
    criteria=[
        Criterion(
            "sigmoid, depth 5: lowest mean of the top layer",
            0.0,
            0.15,
            "sigmoid, depth 1: lowest mean of the top layer",
        ),
        Criterion("sigmoid, depth 5: mean of layer 1 at that epoch", 0.35, 0.65),
        Criterion(
            "digits, sigmoid, depth 5: accuracy over the majority class's",
            0.0,
            1.3,
            "digits, sigmoid, depth 1: accuracy over the majority class's",
        ),
        Criterion("digits, sigmoid, depth 1: test accuracy", 0.9, 1.0),
        Criterion(
            "tanh: gain from the normalized initialization, points", 0.0, math.inf, of="interval"
        ),
        Criterion("softsign's gain over tanh's", -math.inf, 0.5),
    ],
    measure=measure,
)
