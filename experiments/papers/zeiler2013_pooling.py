"""Zeiler & Fergus 2013: stochastic pooling fits the training set least, generalizes best."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from harness.networks import HE
from harness.subsets import subset
from jcnn import layers, pooling
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs


def expected_pool(x: Any, *window: Any) -> Any:
    """Apply stochastic pooling with its expected value in training too."""
    return pooling.stochastic_pool(x, *window, deterministic=True)


POOLS = {
    "max": pooling.max_pool,
    "avg": pooling.avg_pool,
    "stochastic": pooling.stochastic_pool,
    "expected": expected_pool,
}


def pooled_cnn(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    pooling: Any,
    width: int = 16,
    rngs: Any,
) -> layers.Sequential:
    """Build three relu convolutions, each pooled 3x3 with stride 2, then one dense layer."""
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


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure training and test errors in percent."""
    study = Study(
        data=subset("cifar10", train=configuration["train"], test=configuration["test"]),
        model=pooled_cnn,
        factors={"pooling": POOLS, "width": [configuration["width"]]},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=50,
    )
    result = measurements.run(study, "cifar10")
    prepared = study.prepare()
    train, test = {}, {}
    for name in POOLS:
        row = find_row(result, pooling=name)
        models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
        inputs, targets = np.asarray(prepared.data.inputs), np.asarray(prepared.data.targets)
        outputs = [network_outputs(model, inputs, prepared.data) for model in models]
        train[name] = np.array([100 * np.mean(o.argmax(-1) != targets) for o in outputs])
        test[name] = 100 * (1 - np.nan_to_num(row.values))
        measurements.add(f"{name}: training error, %", *train[name])
        measurements.add(f"{name}: test error, %", *test[name])
    measurements.add("training error, average minus max, points", *(train["avg"] - train["max"]))
    measurements.add(
        "training error, stochastic minus average, points", *(train["stochastic"] - train["avg"])
    )
    for name in ("stochastic", "expected"):
        lead = np.minimum(test["avg"], test["max"]) - test[name]
        measurements.add(f"test error, better of max and average minus {name}, points", *lead)


CLAIM = Claim(
    name="zeiler2013-pooling",
    source="Zeiler & Fergus 2013, section 4.2 and table 1",
    statement="On CIFAR-10 the training error is lowest with max pooling, then average, then "
    "stochastic pooling; the test error is lowest with stochastic pooling.",
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
        Criterion("training error, average minus max, points", 0.0, 100.0, of="interval"),
        Criterion("training error, stochastic minus average, points", 0.0, 100.0, of="interval"),
        Criterion(
            "test error, better of max and average minus stochastic, points",
            1.0,
            100.0,
            "test error, better of max and average minus expected, points",
        ),
    ],
    measure=measure,
)
