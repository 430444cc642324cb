"""He et al. 2015, figure 3: thirty layers of relu train from He's initialization alone."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found, curve
from harness.images import images
from harness.nets import tower
from jcnn import initializers
from jcnn.diagnosis import Examination

INITS = {
    "he": initializers.he_untruncated_normal(),
    "xavier": initializers.glorot_untruncated_normal(),
}
CHANCE = math.log(10)


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Training losses at the end, over ln 10, and the first layer's gradients at the beginning."""
    data = images("fashion-mnist", train=configuration["train"], test=1000, shrink=4)
    for seed in range(configuration["seeds"]):
        he, other, xavier = _first_gradients(data, seed)
        found.add("gradient at layer 1, log2 of he over xavier", math.log2(he / xavier))
        found.add("the same of two he nets", math.log2(he / other))
    for name, factors in {
        "sgd": {"depth": [27, 11], "kernel_init": INITS, "optimizer": ["momentum"]},
        "adam": {"depth": [27], "kernel_init": {"xavier": INITS["xavier"]}, "optimizer": ["adam"]},
    }.items():
        study = jcnn.Study(
            data=data,
            model=tower,
            factors={**factors, "width": [32], "window": [2], "hidden": [(64, 64)]},
            learning_rates=configuration["learning_rates"],
            seeds=configuration["seeds"],
            epochs=configuration["epochs"],
        )
        result = found.run(study, name)
        for row in result.ranking():
            layers, init = int(row.levels["depth"]) + 3, row.levels["kernel_init"]
            last = curve(result, row, "train_loss")[:, -1] / CHANCE
            found.add(f"{name}, {layers} layers, {init}: loss over ln 10", *last)


def _first_gradients(data: jcnn.data.Dataset, seed: int) -> list[float]:
    """|dL/dh| at the first layer of two nets with He's initialization, and one with Xavier's."""
    models = [
        tower(
            data.input_shape,
            10,
            depth=27,
            width=32,
            window=2,
            hidden=(64, 64),
            kernel_init=INITS[name],
            rngs=nnx.Rngs(own),
        )
        for name, own in (("he", seed), ("he", seed + 100), ("xavier", seed))
    ]
    x = (jnp.asarray(data.train_inputs[:128], jnp.float32) - data.mean) / data.std
    examine = Examination(models[0], x, jnp.asarray(data.train_targets[:128]))
    return [examine(model).layers[0].gradient for model in models]


CLAIM = Claim(
    name="he2015-depth30",
    source="He et al. 2015, section 2.2 and figure 3",
    statement="At thirty layers of relu, Xavier's initialization stalls and He's converges; at "
    "fourteen both do.",
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
            "gradient at layer 1, log2 of he over xavier", 13.0, 17.0, "the same of two he nets"
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
