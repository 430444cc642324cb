"""Saturating activations that differ only in their mean or slope, and studies of them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from harness import study_cache
from harness.measurements import Measurements
from jcnn import initializers
from jcnn.study import Result, Study

# Both claims on saturating activations use this configuration, so they share trained networks.
CONFIGURATION = {
    "learning_rates": (3.0, 1.0, 0.3, 0.1, 0.03, 0.01),
    "seeds": 5,
    "epochs": 25,
    "target": 0.9,
}


def centred(x: Array) -> Array:
    """Return `sigmoid(x) - 1/2`: the same slope everywhere, and mean 0."""
    return jax.nn.sigmoid(x) - 0.5


def raised(x: Array) -> Array:
    """Return `tanh(x) + 1`: the same slope everywhere, and mean 1."""
    return jnp.tanh(x) + 1


def steep(x: Array) -> Array:
    """Return the centred sigmoid with tanh's slope at 0, `4 (sigmoid(x) - 1/2) = 2 tanh(x / 2)`."""
    return 4 * centred(x)


ACTIVATIONS = {
    "sigmoid": jax.nn.sigmoid,
    "sigmoid - 0.5": centred,
    "tanh": jnp.tanh,
    "tanh + 1": raised,
    "4 (sigmoid - 0.5)": steep,
}
# Glorot's initialization, and four times it, as is usual for the sigmoid with its slope of 1/4.
INITIAL = {
    "glorot": initializers.glorot_untruncated_normal(),
    "4 glorot": initializers.scaled(initializers.glorot_untruncated_normal(), 4.0),
}


def build_study(
    configuration: Mapping[str, Any],
    *activations: str,
    initial: str = "glorot",
    rates: str = "learning_rates",
    model: str = "lenet",
    **factors: Any,
) -> Study:
    """Build a study of the named activations on digits."""
    return Study(
        model=model,
        factors={
            "activation": {name: ACTIVATIONS[name] for name in activations},
            "kernel_init": {initial: INITIAL[initial]},
            **factors,
        },
        learning_rates=configuration[rates],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )


def run_lenets(configuration: Mapping[str, Any], measurements: Measurements) -> Result:
    """Train LeNets on digits with and without batch normalization."""
    names = ("sigmoid", "sigmoid - 0.5", "tanh", "tanh + 1")
    study = build_study(configuration, *names, normalization=["none", "batch"])
    return study_cache.run(measurements, study, "lenets")
