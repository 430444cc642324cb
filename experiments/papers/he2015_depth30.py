"""He et al. 2015, figure 3: thirty relu layers train only from He's initialization."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, learning_curves
from harness.networks import unpooled_cnn
from harness.subsets import subset
from jcnn import initializers
from jcnn.diagnosis import Examination

INITS = {
    "he": initializers.he_untruncated_normal(),
    "xavier": initializers.glorot_untruncated_normal(),
}
CHANCE = math.log(10)


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure final training losses over ln 10, and the first layer's initial gradients."""
    data = subset("fashion-mnist", train=configuration["train"], test=1000, shrink=4)
    for seed in range(configuration["seeds"]):
        he, other, xavier = _first_gradients(data, seed)
        measurements.add("gradient at layer 1, log2 of he over xavier", math.log2(he / xavier))
        measurements.add("the same for two he networks", math.log2(he / other))
    for name, factors in {
        "sgd": {"depth": [27, 11], "kernel_init": INITS, "optimizer": ["momentum"]},
        "adam": {"depth": [27], "kernel_init": {"xavier": INITS["xavier"]}, "optimizer": ["adam"]},
    }.items():
        study = jcnn.Study(
            data=data,
            model=unpooled_cnn,
            factors={**factors, "width": [32], "window": [2], "hidden": [(64, 64)]},
            learning_rates=configuration["learning_rates"],
            seeds=configuration["seeds"],
            epochs=configuration["epochs"],
        )
        result = measurements.run(study, name)
        for row in result.ranking():
            layers, init = int(row.levels["depth"]) + 3, row.levels["kernel_init"]
            last = learning_curves(result, row, "train_loss")[:, -1] / CHANCE
            measurements.add(f"{name}, {layers} layers, {init}: loss over ln 10", *last)


def _first_gradients(data: jcnn.data.Dataset, seed: int) -> list[float]:
    """Return |dL/dh| at the first layer of two networks from He's weights and one from Xavier's."""
    models = [
        unpooled_cnn(
            data.input_shape,
            10,
            depth=27,
            width=32,
            window=2,
            hidden=(64, 64),
            kernel_init=INITS[name],
            rngs=nnx.Rngs(network_seed),
        )
        for name, network_seed in (("he", seed), ("he", seed + 100), ("xavier", seed))
    ]
    x = (jnp.asarray(data.train_inputs[:128], jnp.float32) - data.mean) / data.std
    examine = Examination(models[0], x, jnp.asarray(data.train_targets[:128]))
    return [examine(model).layers[0].gradient for model in models]


CLAIM = Claim(
    name="he2015-depth30",
    source="He et al. 2015, section 2.2 and figure 3",
    statement="With thirty relu layers, training stalls from Xavier's initialization and converges "
    "from He's; with fourteen it converges from both.",
    configuration={
        "train": 2000,
        "learning_rates": [0.03, 0.01, 0.003, 0.001],
        "seeds": 3,
        "epochs": 8,
    },
    criteria=[
        Criterion(
            "sgd, 30 layers, he: loss over ln 10",
            0.0,
            0.7,
            "sgd, 30 layers, xavier: loss over ln 10",
            of="every",
        ),
        Criterion(
            "sgd, 30 layers, xavier: loss over ln 10",
            0.99,
            1.01,
            "sgd, 30 layers, he: loss over ln 10",
            of="every",
        ),
        Criterion("sgd, 14 layers, he: loss over ln 10", 0.0, 0.7, of="every"),
        Criterion("sgd, 14 layers, xavier: loss over ln 10", 0.0, 0.7, of="every"),
        Criterion(
            "gradient at layer 1, log2 of he over xavier",
            13.0,
            17.0,
            "the same for two he networks",
        ),
        Criterion(
            "adam, 30 layers, xavier: loss over ln 10",
            0.0,
            0.99,
            "sgd, 30 layers, xavier: loss over ln 10",
        ),
    ],
    measure=measure,
)
