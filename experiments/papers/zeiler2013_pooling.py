"""Zeiler & Fergus 2013: stochastic pooling fits the training set least and generalises best."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, row_of
from harness.images import images
from harness.nets import HE
from jcnn import layers, pooling
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs


def undrawn_pool(x: Any, *window: Any) -> Any:
    """Stochastic pooling with the mean under its probabilities, in training too."""
    return pooling.stochastic_pool(x, *window, deterministic=True)


POOLS = {
    "max": pooling.max_pool,
    "avg": pooling.avg_pool,
    "stochastic": pooling.stochastic_pool,
    "undrawn": undrawn_pool,
}


def net(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    pooling: Any,
    width: int = 16,
    rngs: Any,
) -> layers.Sequential:
    """Three convolutions with relu, each pooled 3x3 by 2, then one dense layer."""
    chain: dict[str, Any] = {}
    channels, side = input_shape[-1], input_shape[0]
    for i in (1, 2, 3):
        chain[f"conv{i}"] = layers.Conv(channels, width, (3, 3), kernel_init=HE, rngs=rngs)
        chain[f"relu{i}"] = layers.Activation(jcnn.activations.relu)
        chain[f"pool{i}"] = layers.Pool(pooling, (3, 3), 2, rngs=rngs)
        channels, side = width, (side - 3) // 2 + 1
    chain["flatten"] = layers.Flatten()
    return layers.Sequential(
        **chain, output=layers.Dense(side * side * width, outputs, kernel_init=HE, rngs=rngs)
    )


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Errors in percent on the examples trained on, and on the test set."""
    study = Study(
        data=images("cifar10", train=configuration["train"], test=configuration["test"]),
        model=net,
        factors={"pooling": POOLS, "width": [configuration["width"]]},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=50,
    )
    result = found.run(study, "cifar10")
    prepared = study.prepare()
    train, test = {}, {}
    for name in POOLS:
        row = row_of(result, pooling=name)
        models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
        inputs, targets = np.asarray(prepared.data.inputs), np.asarray(prepared.data.targets)
        outputs = [network_outputs(model, inputs, prepared.data) for model in models]
        train[name] = np.array([100 * np.mean(o.argmax(-1) != targets) for o in outputs])
        test[name] = 100 * (1 - np.nan_to_num(row.values))
        found.add(f"{name}: training error, %", *train[name])
        found.add(f"{name}: test error, %", *test[name])
    found.add("training error, average less max, points", *(train["avg"] - train["max"]))
    found.add(
        "training error, stochastic less average, points", *(train["stochastic"] - train["avg"])
    )
    for name in ("stochastic", "undrawn"):
        lead = np.minimum(test["avg"], test["max"]) - test[name]
        found.add(f"test error, better of max and average less {name}, points", *lead)


CLAIM = Claim(
    name="zeiler2013-pooling",
    source="Zeiler & Fergus 2013, section 4.2 and table 1",
    statement="On CIFAR-10 the training error is least with max pooling, then average, then "
    "stochastic pooling; the test error is least with stochastic pooling.",
    configuration={
        "train": 3000,
        "test": 2000,
        "width": 16,
        "learning_rates": [0.03, 0.01, 0.003],
        "seeds": 3,
        "epochs": 20,
    },
    full={"train": 50_000, "test": 10_000, "width": 64, "epochs": 100},
    criteria=[
        Criterion("training error, average less max, points", 0.0, 100.0, of="interval"),
        Criterion("training error, stochastic less average, points", 0.0, 100.0, of="interval"),
        Criterion(
            "test error, better of max and average less stochastic, points",
            1.0,
            100.0,
            "test error, better of max and average less undrawn, points",
        ),
    ],
    measure=measure,
)
