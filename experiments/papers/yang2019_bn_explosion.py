"""Yang et al. 2019: batch normalization makes gradients grow with every layer."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from harness.networks import HE
from jcnn import layers

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "identity": lambda x: x}


class CircularCNN(nnx.Module):
    """Equal convolutions with circular padding, each followed by batch norm and relu."""

    def __init__(self, depth: int, width: int, *, rngs: nnx.Rngs) -> None:
        self.convs = nnx.List(
            layers.Conv(
                width, width, (3, 3), padding="CIRCULAR", use_bias=False, kernel_init=HE, rngs=rngs
            )
            for _ in range(depth)
        )
        self.norms = nnx.List(layers.batch_norm(width, rngs=rngs) for _ in range(depth))
        self.out = layers.Dense(width, 10, kernel_init=HE, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = jax.nn.relu(norm(conv(x)))
        return self.out(jcnn.pooling.global_avg_pool(x))


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure the gradient factor per layer of each arm, and accuracies if configured to train."""
    width, depth, batch = (configuration[name] for name in ("width", "depth", "batch"))
    for seed in range(configuration["seeds"]):
        x = jax.random.normal(jax.random.key(seed), (batch, width))
        labels = jnp.arange(batch) % 10
        arms = {name: (f, layers.batch_norm) for name, f in ACTIVATIONS.items()}
        for name, (activation, norm) in (arms | {"no norm": (jax.nn.relu, None)}).items():
            model = jcnn.models.mlp(
                (width,),
                10,
                hidden=(width,) * depth,
                activation=activation,
                normalization=norm,
                kernel_init=HE,
                rngs=nnx.Rngs(seed),
            )
            measurements.add(f"{name}: gradient factor per layer", _factor(model, x, labels))
        channels = configuration["channels"]
        cnn = CircularCNN(depth, channels, rngs=nnx.Rngs(seed))
        images = jax.random.normal(jax.random.key(seed), (configuration["images"], 8, 8, channels))
        measurements.add(
            "relu, conv: gradient factor per layer", _factor(cnn, images, labels[: len(images)])
        )
    if configuration["train"]:
        _train(configuration["train"], measurements)


def _factor(model: nnx.Module, x: jax.Array, labels: jax.Array) -> float:
    hidden = jcnn.diagnose(model, x, labels).layers[:-1]
    return (hidden[0].gradient / hidden[-1].gradient) ** (1 / (len(hidden) - 1))


def _train(depths: Mapping[str, int], measurements: Measurements) -> None:
    study = jcnn.Study(
        model="mlp",
        factors={
            "hidden": {name: (64,) * depth for name, depth in depths.items()},
            "normalization": ["batch", "none"],
            "kernel_init": ["he_untruncated_normal"],
        },
        learning_rates=[0.3, 0.1, 0.03, 0.01, 0.003, 0.001],
        seeds=3,
        epochs=10,
    )
    for row in measurements.run(study, "depth").ranking():
        measurements.add_accuracies(
            f"{row.levels['hidden']}, {row.levels['normalization']}: test accuracy", row
        )


CLAIM = Claim(
    name="yang2019-bn-explosion",
    source="Yang et al. 2019, theorem 3.9 and figure 2",
    statement="With batch normalization, gradients grow by sqrt(pi / (pi - 1)) = 1.211 per layer "
    "for relu, regardless of the weights, so deep networks with it cannot be trained.",
    configuration={
        "width": 1024,
        "batch": 128,
        "depth": 24,
        "channels": 128,
        "images": 32,
        "seeds": 3,
        "train": {"depth 10": 10, "depth 60": 60},
    },
    quick={"seeds": 1, "train": {}},
    criteria=[
        Criterion(
            "relu: gradient factor per layer", 1.191, 1.231, "no norm: gradient factor per layer"
        ),
        Criterion(
            "tanh: gradient factor per layer", 1.065, 1.105, "no norm: gradient factor per layer"
        ),
        Criterion(
            "identity: gradient factor per layer", 0.98, 1.02, "relu: gradient factor per layer"
        ),
        Criterion(
            "no norm: gradient factor per layer", 0.97, 1.03, "relu: gradient factor per layer"
        ),
        Criterion(
            "relu, conv: gradient factor per layer",
            1.191,
            1.231,
            "no norm: gradient factor per layer",
        ),
        Criterion("depth 10, batch: test accuracy", 0.9, 1.0),
        Criterion("depth 60, batch: test accuracy", 0.0, 0.5, "depth 60, none: test accuracy"),
    ],
    measure=measure,
)
