"""The deep plain CNN of the claims on vanishing gradients: its gradients and its training."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness import study_cache
from harness.measurements import Measurements, find_row
from harness.paired import percent
from jcnn import data, engine, initializers, models, names, training
from jcnn.diagnosis import Diagnosis, Examination
from jcnn.study import Result, Study

RATIO = "first layer's gradient over the last hidden one's"
ACCURACY = "test accuracy, %"
# A gradient is preserved if the first layer's is within a factor of ten of the last hidden one's; a
# network learns if its test accuracy in percent is within LEARNS.
PRESERVED = (0.1, 10.0)
LEARNS = (80.0, 100.0)
# Normal weights with a fixed standard deviation: 0.01 as in Krizhevsky et al. 2012, and a milder
# case.
SMALL, MILDER = "0.01", "0.05"
INITIAL = {
    SMALL: initializers.normal(0.01),
    MILDER: initializers.normal(0.05),
    "Xavier": initializers.glorot_untruncated_normal(),
    "He": initializers.he_untruncated_normal(),
    "4 x Xavier": initializers.scaled(initializers.glorot_untruncated_normal(), 4.0),
}
SATURATING = ("sigmoid", "tanh")
EXAMPLES = 256


def build_study(
    configuration: Mapping[str, Any],
    activations: tuple[str, ...],
    *initial: str,
    rates: str = "learning_rates",
    **factors: Any,
) -> Study:
    """Build a study of deep networks on digits, by default trained by SGD with momentum."""
    shape = {"depth": configuration["depth"], "width": configuration["width"]}
    kernel_inits = {name: INITIAL[name] for name in initial}
    return Study(
        model="plain",
        factors={**shape, "activation": activations, "kernel_init": kernel_inits, **factors},
        learning_rates=configuration[rates],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )


def measure_without_remedy(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure the null arm of every remedy: sigmoid and tanh networks from small weights."""
    for activation in SATURATING:
        for initial in (SMALL, MILDER):
            ratios = gradient_ratios(configuration, activation, initial=initial)
            measurements.add(no_remedy(activation, RATIO, initial), *ratios)
    if configuration["train"]:
        study = build_study(configuration, SATURATING, SMALL, MILDER)
        result = study_cache.run(measurements, study, "no-remedy")
        for activation in SATURATING:
            for initial in (SMALL, MILDER):
                row = find_row(result, activation=activation, kernel_init=initial)
                measurements.add(no_remedy(activation, ACCURACY, initial), *percent(row))


def no_remedy(activation: str, figure: str, initial: str = SMALL) -> str:
    """Return the name of a figure of the null arm."""
    return f"no remedy, {activation}, weights {initial}: {figure}"


def add_accuracies(measurements: Measurements, result: Result, name: str, **levels: str) -> None:
    """Add the test accuracies of a combination."""
    measurements.add(f"learning, {name}: {ACCURACY}", *percent(find_row(result, **levels)))


def gradient_ratios(configuration: Mapping[str, Any], activation: str, **options: Any) -> list:
    """Return |dL/dh| of the first layer over the last hidden one at initialization, per seed."""
    diagnoses = _diagnoses(configuration, activation, **options)
    return [diagnosis.gradient_ratio for diagnosis in diagnoses]


def first_updates(configuration: Mapping[str, Any], activation: str, **options: Any) -> list:
    """Return the relative change of the first layer's kernel in one step, per seed."""
    diagnoses = _diagnoses(configuration, activation, **options)
    return [diagnosis.layers[0].update_ratio for diagnosis in diagnoses]


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
    """Return normalized training examples of digits and their labels."""
    prepared = engine.prepare(data.load("digits"), 0.2)
    x = training.normalize(jnp.asarray(prepared.inputs[:EXAMPLES]), prepared)
    return x, jnp.asarray(prepared.targets[:EXAMPLES])
