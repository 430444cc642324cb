"""Ioffe & Szegedy 2015, figure 1: batch normalization in a small sigmoid network on digits."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, learning_curves, steps_to_target
from jcnn.study import Row, Study, train_one

ARMS = ("none", "batch")


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compare both arms, each at its best learning rate and initial scale."""
    digits = jcnn.data.load("digits")
    binary = replace(
        digits,
        name="binary-digits",
        train_inputs=np.where(digits.train_inputs > 127, 255, 0).astype(np.uint8),
        test_inputs=np.where(digits.test_inputs > 127, 255, 0).astype(np.uint8),
    )
    study = Study(
        data=binary,
        model="mlp",
        factors={
            "normalization": ARMS,
            "kernel_init": configuration["kernel_init"],
            "hidden": [(100, 100, 100)],
            "activation": ["sigmoid"],
            "optimizer": ["sgd"],
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=60,
    )
    result = measurements.run(study, "sigmoid")
    rows = {arm: max(_rows(result, arm), key=lambda row: row.validation) for arm in ARMS}
    curves = {arm: learning_curves(result, row, "validation_accuracy") for arm, row in rows.items()}
    steps = result.records[0].outcome.steps // configuration["epochs"]
    interval = max(round(1000 / steps), 1)  # epochs per 1,000 steps
    checkpoints = {arm: _means(values, interval) for arm, values in curves.items()}
    lead = (checkpoints["batch"] - checkpoints["none"])[:, 1:].min(axis=1)
    measurements.add("smallest lead at any checkpoint after 1,000 steps, points", *100 * lead)
    swapped = (checkpoints["none"] - checkpoints["batch"])[:, 1:].min(axis=1)
    measurements.add("the same with the arms swapped, points", *100 * swapped)
    test = {arm: np.array(row.values) for arm, row in rows.items()}
    measurements.add("final lead in test accuracy, points", *100 * (test["batch"] - test["none"]))
    times = {
        arm: np.array(steps_to_target(values, 0.9, steps=steps)) for arm, values in curves.items()
    }
    measurements.add("steps to 90%, without over with batch norm", *times["none"] / times["batch"])
    for seed in study.seed_values:
        drift = {arm: _drift(study, row, seed) for arm, row in rows.items()}
        measurements.add(
            "drift of the sigmoids' inputs, without over with batch norm",
            drift["none"] / drift["batch"],
        )


def _rows(result: jcnn.Result, arm: str) -> list[Row]:
    return [row for row in result.ranking() if row.levels["normalization"] == arm]


def _means(curves: np.ndarray, interval: int) -> np.ndarray:
    """Average each `interval` epochs; an incomplete last interval is dropped."""
    whole = curves.shape[1] // interval * interval
    return curves[:, :whole].reshape(len(curves), -1, interval).mean(axis=2)


def _drift(study: Study, row: Row, seed: int) -> float:
    """Return how far the sigmoid inputs of the last hidden layer drift during training.

    That is the standard deviation over training of the 15th, 50th and 85th percentile of each
    unit's input, averaged over percentiles and units.
    """
    prepared = study.prepare()
    x = jcnn.training.normalize(jnp.asarray(prepared.dataset.test_inputs), prepared.data)
    percentiles: list[np.ndarray] = []
    compiled: list[Callable[..., Any]] = []

    def record(epoch: int, model: nnx.Module) -> None:
        if epoch % 10:
            return
        if not compiled:
            compiled.append(_sigmoid_inputs(model))
        values = compiled[0](nnx.state(model), x)
        percentiles.append(np.percentile(np.asarray(values), [15, 50, 85], axis=0))

    train_one(
        study, row.combination, row.learning_rate, seed=seed, prepared=prepared, on_epoch=record
    )
    return float(np.std(percentiles, axis=0).mean())


def _sigmoid_inputs(model: nnx.Module) -> Callable[..., Any]:
    graph, _ = nnx.split(model)

    @jax.jit
    def sigmoid_inputs(state: Any, x: jax.Array) -> jax.Array:
        values = nnx.merge(graph, state, copy=True).intermediates(x)[1]
        return values.get("norm_hidden3", values["dense_hidden3"])

    return sigmoid_inputs


CLAIM = Claim(
    name="ioffe2015-batchnorm",
    source="Ioffe & Szegedy 2015, section 4.1 and figure 1",
    statement="With batch normalization, a sigmoid network with three hidden layers learns digits "
    "faster and to a higher accuracy, and the inputs of its sigmoids stay stable.",
    configuration={
        "kernel_init": ["normal:0.01", "normal:0.1"],
        "learning_rates": [0.03, 0.1, 0.3, 1.0, 3.0],
        "seeds": 5,
        "epochs": 632,
    },
    criteria=[
        Criterion(
            "smallest lead at any checkpoint after 1,000 steps, points",
            0.0,
            math.inf,
            "the same with the arms swapped, points",
            of="every",
        ),
        Criterion("final lead in test accuracy, points", 0.0, math.inf, of="interval"),
        Criterion("steps to 90%, without over with batch norm", 3.0, math.inf),
        Criterion("drift of the sigmoids' inputs, without over with batch norm", 3.0, math.inf),
    ],
    measure=measure,
)
