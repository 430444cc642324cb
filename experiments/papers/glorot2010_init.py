"""Glorot & Bengio 2010: how the scale of initial weights affects signals and gradients."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from jcnn import initializers

ARMS = {
    "standard": initializers.standard_uniform(),
    "normalized": initializers.glorot_uniform(),
    "null": initializers.scaled(initializers.glorot_uniform(), 0.75),
}


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Diagnose each arm, one value per seed; each seed takes the Jacobian at another example."""
    digits = jcnn.data.load("digits")
    n = configuration["examples"]
    x = jnp.asarray(digits.train_inputs[:n].reshape(n, -1), jnp.float32) / 255  # raw, in [0, 1]
    labels = jnp.asarray(digits.train_targets[:n])
    for arm, init in ARMS.items():
        for seed in range(configuration["seeds"]):
            model = jcnn.models.mlp(
                x.shape[1:],
                10,
                hidden=(configuration["width"],) * configuration["hidden"],
                activation=jnp.tanh,
                kernel_init=init,
                rngs=nnx.Rngs(seed),
            )
            batch = jnp.roll(x, -seed, axis=0), jnp.roll(labels, -seed)
            layers = jcnn.diagnose(model, *batch, singular_values=True).layers
            square = layers[1:-1]  # layers with equal input and output width
            weights = [layer.weight_gradient for layer in square]
            gradients = [layer.gradient for layer in layers[:-1]]
            factor = (gradients[0] / gradients[-1]) ** (1 / (len(gradients) - 1))
            values = {
                "mean singular value": np.mean([layer.singular_values.mean for layer in square]),
                "gradient factor per layer": factor,
                "weight gradients, largest over smallest": max(weights) / min(weights),
            }
            for name, value in values.items():
                measurements.add(f"{arm}: {name}", value)


CLAIM = Claim(
    name="glorot2010-init",
    source="Glorot & Bengio 2010, section 4.2, figures 7 and 8",
    statement="The mean singular value of a layer's Jacobian is about 0.5 under the standard "
    "initialization and 0.8 under the normalized one; back-propagated gradients shrink by 0.577 "
    "per layer under the standard one; weight gradients shrink under neither.",
    configuration={"hidden": 5, "width": 1000, "examples": 300, "seeds": 3},
    quick={"seeds": 1},
    criteria=[
        Criterion("standard: mean singular value", 0.47, 0.51, "null: mean singular value"),
        Criterion("normalized: mean singular value", 0.77, 0.83, "null: mean singular value"),
        Criterion(
            "standard: gradient factor per layer",
            0.547,
            0.607,
            "normalized: gradient factor per layer",
        ),
        Criterion(
            "normalized: gradient factor per layer", 0.88, 1.02, "null: gradient factor per layer"
        ),
        Criterion("standard: weight gradients, largest over smallest", 1.0, 1.35),
        Criterion("normalized: weight gradients, largest over smallest", 1.0, 1.35),
    ],
    measure=measure,
)
