"""Does cross-entropy beat the squared error for classification?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.networks import HE
from harness.paired import points, rank_by_steps, ratio
from jcnn import data, engine, initializers, layers, losses, models, training
from jcnn.study import Study
from jcnn.study.prepare import Prepared
from textbook.shared.criteria import POINTS, STEPS, at_least

STEPS_FIGURE = "steps to 90%, squared error over cross-entropy"
AHEAD = "test accuracy, cross-entropy minus squared error, points"
GRADIENT = "gradient at the outputs before training, cross-entropy over squared error"
# The last layer's weights: He's as in all layers, which start the outputs with a standard deviation
# of 4 (max pooling adds to it); small, which start them at 0; or large, which start them saturated.
STARTS = {
    "He": HE,
    "small": initializers.normal(0.01),
    "large": initializers.normal(1.0),
}
SQUASHED = {"linear": lambda x: x, "sigmoid": jax.nn.sigmoid}


class Classifier(nnx.Module):
    """A LeNet with an optional squashing of its outputs and another initial last layer."""

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        squash: Callable[[Array], Array] = SQUASHED["linear"],
        output_init: layers.Initializer = HE,
        rngs: nnx.Rngs,
    ) -> None:
        self.lenet = models.lenet(input_shape, outputs, kernel_init=HE, rngs=rngs)
        self.lenet.output = layers.Dense(64, outputs, kernel_init=output_init, rngs=rngs)
        self.squash = squash

    def __call__(self, x: Array) -> Array:
        """Return logits, or their squashed values."""
        return self.squash(self.lenet(x))


def squared_error(outputs: Array, labels: Array) -> Array:
    """Return half the sum of squared differences from the one-hot target, as in textbooks."""
    target = jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)
    return jnp.square(outputs - target).sum(axis=-1) / 2


class SquaredError(Study):
    """A study of classifiers that train on `squared_error` and are ranked by accuracy."""

    def prepare(self) -> Prepared:
        """Prepare the data, and the task with the other loss."""
        prepared = super().prepare()
        metrics = {**prepared.task.metrics, "loss": squared_error}
        task = replace(prepared.task, loss=squared_error, metrics=metrics)
        return prepared._replace(task=task)


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure steps and accuracies with both losses, and their initial gradients at the outputs."""
    for seed in range(configuration["seeds"]):
        for start in STARTS:
            for squash, value in _gradients(seed, start).items():
                measurements.add(f"gradient, {_condition(squash, start)}: {GRADIENT}", value)
    if not configuration["train"]:
        return
    settings = {
        "model": Classifier,
        "learning_rates": configuration["learning_rates"],
        "seeds": configuration["seeds"],
        "epochs": configuration["epochs"],
    }
    entropy = study_cache.run(
        measurements, Study(factors={"output_init": STARTS}, **settings), "entropy"
    )
    factors = {"squash": SQUASHED, "output_init": STARTS}
    squared = study_cache.run(measurements, SquaredError(factors=factors, **settings), "squared")
    target = configuration["target"]
    fast_entropy = rank_by_steps(measurements, entropy, "entropy", target)
    fast_squared = rank_by_steps(measurements, squared, "squared", target)
    for start in STARTS:
        for squash in SQUASHED:
            condition = _condition(squash, start)
            levels = {"squash": squash, "output_init": start}
            rows = find_row(entropy, output_init=start), find_row(squared, **levels)
            measurements.add(f"{condition}, after training: {AHEAD}", *points(*rows))
            rows = find_row(fast_squared, **levels), find_row(fast_entropy, output_init=start)
            measurements.add(f"{condition}: {STEPS_FIGURE}", *ratio(*rows))


def _condition(squash: str, start: str) -> str:
    return f"{squash} outputs{'' if start == 'He' else f', {start} initial weights'}"


def _gradients(seed: int, start: str) -> dict[str, float]:
    """Return the mean |dL/dz| at the pre-activations z of the outputs, one loss over the other."""
    prepared = engine.prepare(data.load("digits"), 0.2)
    x = training.normalize(jnp.asarray(prepared.inputs[:256]), prepared)
    labels = jnp.asarray(prepared.targets[:256])
    net = Classifier((8, 8, 1), 10, output_init=STARTS[start], rngs=nnx.Rngs(seed))
    z = net(x)

    def gradient_norm(loss: Callable[[Array], Array]) -> Array:
        return jnp.linalg.norm(jax.grad(lambda z: loss(z).sum())(z), axis=-1).mean()

    entropy = gradient_norm(lambda z: losses.cross_entropy(z, labels))
    return {
        name: float(
            entropy / gradient_norm(lambda z, squash=squash: squared_error(squash(z), labels))
        )
        for name, squash in SQUASHED.items()
    }


CONDITIONS = [_condition(squash, start) for start in STARTS for squash in SQUASHED]
CLAIM = Claim(
    name="cross-entropy",
    source="Goodfellow et al. 2016, section 6.2; usual in textbooks",
    statement="Cross-entropy beats the squared error for classification.",
    configuration={
        "learning_rates": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003),
        "seeds": 6,
        "epochs": 15,
        "target": 0.9,
        "train": True,
    },
    quick={"seeds": 2, "train": False},
    criteria=[
        *(at_least(f"{condition}: {STEPS_FIGURE}", STEPS) for condition in CONDITIONS),
        *(at_least(f"{condition}, after training: {AHEAD}", POINTS) for condition in CONDITIONS),
        *(
            at_least(f"gradient, {condition}: {GRADIENT}", 2.0, f"gradient, {null}: {GRADIENT}")
            for start in STARTS
            for condition, null in [(_condition("sigmoid", start), _condition("linear", start))]
        ),
    ],
    measure=measure,
)
