"""Ioffe & Szegedy 2015, figure 1: batch normalization in a small sigmoid net on binary digits."""

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
from harness.found import Found, curve, first_at
from jcnn.study import Row, Study, train_one

ARMS = ("none", "batch")


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Curves of both arms, each at its best rate and initial scale, and what a sigmoid is given."""
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
    result = found.run(study, "sigmoid")
    rows = {arm: max(_rows(result, arm), key=lambda row: row.validation) for arm in ARMS}
    curves = {arm: curve(result, row, "validation_accuracy") for arm, row in rows.items()}
    steps = result.records[0].outcome.steps // configuration["epochs"]
    every = max(round(1000 / steps), 1)  # epochs in a checkpoint's 1,000 steps
    checkpoints = {arm: _means(values, every) for arm, values in curves.items()}
    least = (checkpoints["batch"] - checkpoints["none"])[:, 1:].min(axis=1)
    found.add("least lead at a checkpoint from 1,000 steps, points", *100 * least)
    swapped = (checkpoints["none"] - checkpoints["batch"])[:, 1:].min(axis=1)
    found.add("the same without batch norm, points", *100 * swapped)
    test = {arm: np.array(row.values) for arm, row in rows.items()}
    found.add("lead in test accuracy at the end, points", *100 * (test["batch"] - test["none"]))
    times = {arm: np.array(first_at(own, 0.9, steps=steps)) for arm, own in curves.items()}
    found.add("steps to 90%, without over with", *times["none"] / times["batch"])
    for seed in study.seed_values:
        drift = {arm: _drift(study, row, seed) for arm, row in rows.items()}
        found.add("drift of a sigmoid's inputs, without over with", drift["none"] / drift["batch"])


def _rows(result: jcnn.Result, arm: str) -> list[Row]:
    return [row for row in result.ranking() if row.levels["normalization"] == arm]


def _means(curves: np.ndarray, every: int) -> np.ndarray:
    """Means over as many epochs as a checkpoint is apart; what does not fill one is left out."""
    whole = curves.shape[1] // every * every
    return curves[:, :whole].reshape(len(curves), -1, every).mean(axis=2)


def _drift(study: Study, row: Row, seed: int) -> float:
    """How far the 15th, 50th and 85th percentiles of what each unit of the last hidden layer gives
    its sigmoid move: their standard deviations over training, averaged.
    """
    prepared = study.prepare()
    x = jcnn.training.normalize(jnp.asarray(prepared.dataset.test_inputs), prepared.data)
    seen: list[np.ndarray] = []
    inputs: list[Callable[..., Any]] = []

    def look(epoch: int, model: nnx.Module) -> None:
        if epoch % 10:
            return
        if not inputs:
            inputs.append(_sigmoid_inputs(model))
        values = inputs[0](nnx.state(model), x)
        seen.append(np.percentile(np.asarray(values), [15, 50, 85], axis=0))

    train_one(
        study, row.combination, row.learning_rate, seed=seed, prepared=prepared, on_epoch=look
    )
    return float(np.std(seen, axis=0).mean())


def _sigmoid_inputs(model: nnx.Module) -> Callable[..., Any]:
    graph, _ = nnx.split(model)

    @jax.jit
    def given(state: Any, x: jax.Array) -> jax.Array:
        values = nnx.merge(graph, state, copy=True).intermediates(x)[1]
        return values.get("norm_hidden3", values["dense_hidden3"])

    return given


CLAIM = Claim(
    name="ioffe2015-batchnorm",
    source="Ioffe & Szegedy 2015, section 4.1 and figure 1",
    statement="With batch normalization a sigmoid net of three hidden layers learns digits faster, "
    "ends higher, and what its sigmoids are given stays put.",
    configuration={
        "kernel_init": ["normal:0.01", "normal:0.1"],
        "learning_rates": [0.03, 0.1, 0.3, 1.0, 3.0],
        "seeds": 5,
        "epochs": 632,
    },
    criteria=[
        Criterion(
            "least lead at a checkpoint from 1,000 steps, points",
            0.0,
            math.inf,
            "the same without batch norm, points",
            of="every",
        ),
        Criterion("lead in test accuracy at the end, points", 0.0, math.inf, of="interval"),
        Criterion("steps to 90%, without over with", 3.0, math.inf),
        Criterion("drift of a sigmoid's inputs, without over with", 3.0, math.inf),
    ],
    measure=measure,
)
