"""Glorot & Bengio 2010: how the scale of initial weights carries signals and gradients."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

import jcnn
from harness.claim import Claim, Criterion
from harness.found import Found
from jcnn import initializers

ARMS = {
    "standard": initializers.standard_uniform(),
    "normalized": initializers.glorot_uniform(),
    "null": initializers.scaled(initializers.glorot_uniform(), 0.75),
}


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Figures of each arm, one value a seed; the Jacobian's example differs from seed to seed."""
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
            own = jnp.roll(x, -seed, axis=0), jnp.roll(labels, -seed)
            layers = jcnn.diagnose(model, *own, singular_values=True).layers
            square = layers[1:-1]  # the layers whose input is as wide as their output
            weights = [layer.weight_gradient for layer in square]
            gradients = [layer.gradient for layer in layers[:-1]]
            factor = (gradients[0] / gradients[-1]) ** (1 / (len(gradients) - 1))
            values = {
                "mean singular value": np.mean([one.singular_values.mean for one in square]),
                "gradient factor a layer": factor,
                "weight gradients, most over least": max(weights) / min(weights),
            }
            for name, value in values.items():
                found.add(f"{arm}: {name}", value)


CLAIM = Claim(
    name="glorot2010-init",
    source="Glorot & Bengio 2010, section 4.2, figures 7 and 8",
    statement="The mean singular value of a layer's Jacobian is about 0.5 under the standard "
    "initialization and 0.8 under the normalized one; back-propagated gradients shrink by 0.577 a "
    "layer under the standard one, weight gradients under neither.",
    configuration={"hidden": 5, "width": 1000, "examples": 300, "seeds": 3},
    quick={"seeds": 1},
    criteria=[
        Criterion("standard: mean singular value", 0.47, 0.51, "null: mean singular value"),
        Criterion("normalized: mean singular value", 0.77, 0.83, "null: mean singular value"),
        Criterion(
            "standard: gradient factor a layer", 0.547, 0.607, "normalized: gradient factor a layer"
        ),
        Criterion(
            "normalized: gradient factor a layer", 0.88, 1.02, "null: gradient factor a layer"
        ),
        Criterion("standard: weight gradients, most over least", 1.0, 1.35),
        Criterion("normalized: weight gradients, most over least", 1.0, 1.35),
    ],
    measure=measure,
)
