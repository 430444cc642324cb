"""Glorot & Bengio 2010, figures 2 to 4 and table 1: deep sigmoid nets, and what tanh gains."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, row_of
from jcnn import initializers
from jcnn.study import Study, train_one

STANDARD, NORMALIZED = initializers.standard_uniform(), initializers.glorot_uniform()
FIVE = (256,) * 5


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Layer means of sigmoid nets as they train; accuracies of depth 1 and 5; the inits' gains."""
    shapes = jcnn.data.shapeset(configuration["train"], configuration["test"])
    common = {
        "model": "mlp",
        "learning_rates": configuration["learning_rates"],
        "seeds": configuration["seeds"],
        "batch_size": configuration["batch_size"],
    }
    sigmoid = Study(
        data=shapes,
        factors={
            "activation": ["sigmoid"],
            "hidden": {"depth 5": FIVE, "depth 1": FIVE[:1]},
            "kernel_init": {"standard": STANDARD},
            "optimizer": ["sgd"],
        },
        epochs=configuration["epochs"],
        **common,
    )
    result = found.run(sigmoid, "sigmoid on shapeset")
    for depth in ("depth 5", "depth 1"):
        row = row_of(result, hidden=depth)
        found.accuracies(f"shapeset, sigmoid, {depth}: test accuracy", row)
        for seed in sigmoid.seed_values:
            means = _layer_means(sigmoid, row, seed)
            lowest = int(means[:, -1].argmin())
            found.add(f"sigmoid, {depth}: least mean of the top layer", means[lowest, -1])
            found.add(f"sigmoid, {depth}: mean of layer 1 then", means[lowest, 0])
    digits = Study(
        data="digits",
        factors={
            "activation": ["sigmoid"],
            "hidden": {"depth 5": FIVE, "depth 1": FIVE[:1]},
            "kernel_init": {"standard": STANDARD},
            "optimizer": ["sgd"],
        },
        epochs=configuration["digits_epochs"],
        **common,
    )
    result = found.run(digits, "sigmoid on digits")
    targets = digits.prepare().dataset.test_targets
    majority = np.bincount(targets).max() / len(targets)
    for depth in ("depth 5", "depth 1"):
        values = np.nan_to_num(row_of(result, hidden=depth).values)
        found.add(f"digits, sigmoid, {depth}: test accuracy", *values)
        found.add(f"digits, sigmoid, {depth}: accuracy over the majority's", *values / majority)
    gains = Study(
        data=shapes,
        factors={
            "activation": ["tanh", "softsign"],
            "hidden": {"depth 5": FIVE},
            "kernel_init": {"standard": STANDARD, "normalized": NORMALIZED},
            "optimizer": ["sgd"],
        },
        epochs=configuration["epochs"],
        **common,
    )
    result = found.run(gains, "gains on shapeset")
    gained = {}
    for name in ("tanh", "softsign"):
        rows = {
            init: row_of(result, activation=name, kernel_init=init)
            for init in ("standard", "normalized")
        }
        for init, row in rows.items():
            found.accuracies(f"shapeset, {name}, {init}: test accuracy", row)
        both = [np.nan_to_num(rows[init].values) for init in ("normalized", "standard")]
        gained[name] = 100 * (both[0] - both[1])
        found.add(f"{name}: gain of the normalized init, points", *gained[name])
    share = np.mean(gained["softsign"]) / np.mean(gained["tanh"])
    found.add("softsign's gain over tanh's", share)


def _layer_means(study: Study, row: jcnn.study.Row, seed: int) -> np.ndarray:
    """The mean of each hidden layer's activation on test examples, after each epoch."""
    prepared = study.prepare()
    x = jcnn.training.normalize(jnp.asarray(prepared.dataset.test_inputs[:300]), prepared.data)
    means: list[list[float]] = []

    @jax.jit
    def of(state: Any) -> list[jax.Array]:
        values = nnx.merge(graphs[0], state, copy=True).intermediates(x)[1]
        return [jnp.mean(v) for name, v in values.items() if name.startswith("activation")]

    graphs: list[Any] = []

    def look(epoch: int, model: nnx.Module) -> None:
        graph, state = nnx.split(model)
        graphs.append(graph)
        means.append([float(value) for value in of(state)])

    train_one(
        study, row.combination, row.learning_rate, seed=seed, prepared=prepared, on_epoch=look
    )
    return np.array(means)


CLAIM = Claim(
    name="glorot2010-sigmoid",
    source="Glorot & Bengio 2010, sections 3.1 and 4.3, figure 2 and table 1",
    statement="In deep sigmoid nets the top layer saturates at 0 first and they hardly learn; the "
    "normalized initialization helps tanh much, and softsign little.",
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
            "sigmoid, depth 5: least mean of the top layer",
            0.0,
            0.15,
            "sigmoid, depth 1: least mean of the top layer",
        ),
        Criterion("sigmoid, depth 5: mean of layer 1 then", 0.35, 0.65),
        Criterion(
            "digits, sigmoid, depth 5: accuracy over the majority's",
            0.0,
            1.3,
            "digits, sigmoid, depth 1: accuracy over the majority's",
        ),
        Criterion("digits, sigmoid, depth 1: test accuracy", 0.9, 1.0),
        Criterion("tanh: gain of the normalized init, points", 0.0, math.inf, of="interval"),
        Criterion("softsign's gain over tanh's", -math.inf, 0.5),
    ],
    measure=measure,
)
