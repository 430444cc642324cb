"""Saturating activations that differ in their mean, or in their slope, alone."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from harness.found import Found
from jcnn import initializers
from jcnn.study import Result, Study
from textbook import shared

# What both sentences on saturating activations try, so that they share what is trained.
CONFIGURATION = {
    "learning_rates": (3.0, 1.0, 0.3, 0.1, 0.03, 0.01),
    "seeds": 5,
    "epochs": 25,
    "target": 0.9,
}


def centred(x: Array) -> Array:
    """The sigmoid less 1/2: the same slope everywhere, and mean 0."""
    return jax.nn.sigmoid(x) - 0.5


def raised(x: Array) -> Array:
    """tanh plus 1: the same slope everywhere, and mean 1."""
    return jnp.tanh(x) + 1


def steep(x: Array) -> Array:
    """The sigmoid, centred and with tanh's slope at 0: `2 tanh(x / 2)`."""
    return 4 * centred(x)


ACTIVATIONS = {
    "sigmoid": jax.nn.sigmoid,
    "sigmoid - 0.5": centred,
    "tanh": jnp.tanh,
    "tanh + 1": raised,
    "4 (sigmoid - 0.5)": steep,
}
# Glorot's initialization, and four times it as is usual for the sigmoid, whose slope is 1/4.
INITIAL = {
    "glorot": initializers.glorot_untruncated_normal(),
    "4 glorot": initializers.scaled(initializers.glorot_untruncated_normal(), 4.0),
}


def study(
    configuration: Mapping[str, Any],
    *activations: str,
    initial: str = "glorot",
    rates: str = "learning_rates",
    model: str = "lenet",
    **factors: Any,
) -> Study:
    """A study of these activations, by name, on digits."""
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


def lenets(configuration: Mapping[str, Any], found: Found) -> Result:
    """LeNets with and without batch normalization, on digits."""
    names = ("sigmoid", "sigmoid - 0.5", "tanh", "tanh + 1")
    one = study(configuration, *names, normalization=["none", "batch"])
    return shared.run(found, one, "lenets")
