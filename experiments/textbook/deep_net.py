"""The deep plain CNN of the sentences on vanishing gradients: its gradients, and its training."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness.found import Found, row_of
from jcnn import data, engine, initializers, models, names, training
from jcnn.diagnosis import Diagnosis, Examination
from jcnn.study import Result, Study
from textbook import shared
from textbook.paired import percent

RATIO = "first layer's gradient over the last hidden one's"
ACCURACY = "test accuracy, %"
# A gradient is kept where the first layer's is within a factor of ten of the last hidden one's; a
# net learns where it gets so many percent of the test set.
KEPT = (0.1, 10.0)
LEARNS = (80.0, 100.0)
# Normal weights of a fixed deviation: 0.01 as in Krizhevsky et al. 2012, and a milder case.
SMALL, MILDER = "0.01", "0.05"
INITIAL = {
    SMALL: initializers.normal(0.01),
    MILDER: initializers.normal(0.05),
    "Xavier": initializers.glorot_untruncated_normal(),
    "He": initializers.he_untruncated_normal(),
    "4 x Xavier": initializers.scaled(initializers.glorot_untruncated_normal(), 4.0),
}
UNMENDED = ("sigmoid", "tanh")
EXAMPLES = 256


def study(
    configuration: Mapping[str, Any],
    activations: tuple[str, ...],
    *initial: str,
    rates: str = "learning_rates",
    **factors: Any,
) -> Study:
    """Deep nets on digits, trained by SGD with momentum unless `factors` say otherwise."""
    shape = {"depth": configuration["depth"], "width": configuration["width"]}
    drawn = {name: INITIAL[name] for name in initial}
    return Study(
        model="plain",
        factors={**shape, "activation": activations, "kernel_init": drawn, **factors},
        learning_rates=configuration[rates],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )


def unmended(configuration: Mapping[str, Any], found: Found) -> None:
    """The null arm of every remedy: sigmoid and tanh nets from small weights, without any."""
    for activation in UNMENDED:
        for initial in (SMALL, MILDER):
            ratios = gradient_ratios(configuration, activation, initial=initial)
            found.add(no_remedy(activation, RATIO, initial), *ratios)
    if configuration["train"]:
        one = study(configuration, UNMENDED, SMALL, MILDER)
        result = shared.run(found, one, "no-remedy")
        for activation in UNMENDED:
            for initial in (SMALL, MILDER):
                row = row_of(result, activation=activation, kernel_init=initial)
                found.add(no_remedy(activation, ACCURACY, initial), *percent(row))


def no_remedy(activation: str, figure: str, initial: str = SMALL) -> str:
    """The null arm's name of a figure."""
    return f"no remedy, {activation}, weights {initial}: {figure}"


def learned(found: Found, result: Result, name: str, **levels: str) -> None:
    """Test accuracies of a combination."""
    found.add(f"learning, {name}: {ACCURACY}", *percent(row_of(result, **levels)))


def gradient_ratios(configuration: Mapping[str, Any], activation: str, **options: Any) -> list:
    """|dL/dh| of the first layer over that of the last hidden one at initialization, by seed."""
    return [one.gradient_ratio for one in _diagnoses(configuration, activation, **options)]


def first_steps(configuration: Mapping[str, Any], activation: str, **options: Any) -> list:
    """By what share of its size a first step changes the first layer's kernel, by seed."""
    found = _diagnoses(configuration, activation, **options)
    return [one.layers[0].update_ratio for one in found]


def _diagnoses(
    configuration: Mapping[str, Any],
    activation: str,
    initial: str = SMALL,
    normalization: str = "none",
    optimizer: str = "momentum",
    rate: float = 1.0,
    depth: int | None = None,
) -> list[Diagnosis]:
    shape = depth or configuration["depth"], configuration["width"]
    examine = _examination(activation, normalization, optimizer, rate, *shape)
    seeds = range(configuration["seeds"])
    return [examine(_net(activation, initial, normalization, *shape, seed=s)) for s in seeds]


@functools.cache
def _examination(
    activation: str, normalization: str, optimizer: str, rate: float, depth: int, width: int
) -> Examination:
    update = names.lookup("optimizer", optimizer)(lambda _: rate, momentum=0.9, weight_decay=0.0)
    net = _net(activation, SMALL, normalization, depth, width, seed=0)
    return Examination(net, *_batch(), optimizer=update)


def _net(
    activation: str, initial: str, normalization: str, depth: int, width: int, *, seed: int
) -> nnx.Module:
    return models.plain_cnn(
        (8, 8, 1),
        10,
        depth=depth,
        width=width,
        activation=names.lookup("activation", activation),
        kernel_init=INITIAL[initial],
        normalization=names.lookup("normalization", normalization),
        rngs=nnx.Rngs(jax.random.key(seed)),
    )


@functools.cache
def _batch() -> tuple[Array, Array]:
    """Training examples of digits, normalized, and their labels."""
    prepared = engine.prepare(data.load("digits"), 0.2)
    x = training.normalize(jnp.asarray(prepared.inputs[:EXAMPLES]), prepared)
    return x, jnp.asarray(prepared.targets[:EXAMPLES])
