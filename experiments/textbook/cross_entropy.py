"""Does cross-entropy beat the squared error for classification?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from harness.claim import Claim
from harness.found import Found, row_of
from harness.nets import HE
from jcnn import data, engine, initializers, layers, losses, models, training
from jcnn.study import Study
from jcnn.study.prepare import Prepared
from textbook import shared
from textbook.criteria import POINTS, STEPS, at_least
from textbook.paired import by_steps, points, ratio

STEPS_FIGURE = "steps to 90%, squared error over cross-entropy"
AHEAD = "test accuracy, cross-entropy less squared error, points"
GRADIENT = "gradient at the outputs before training, cross-entropy over squared error"
# The last layer's weights: He's as everywhere, from which the outputs begin with a deviation of 4
# (max pooling adds to it), so small that they begin at 0, or so large that they begin saturated.
STARTS = {
    "He": HE,
    "small": initializers.normal(0.01),
    "large": initializers.normal(1.0),
}
SQUASHED = {"linear": lambda x: x, "sigmoid": jax.nn.sigmoid}


class Classifier(nnx.Module):
    """LeNet, whose outputs may be squashed, and whose last layer may begin otherwise."""

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        *,
        squash: Callable[[Array], Array] = SQUASHED["linear"],
        output_init: layers.Initializer = HE,
        rngs: nnx.Rngs,
    ) -> None:
        self.net = models.lenet(input_shape, outputs, kernel_init=HE, rngs=rngs)
        self.net.output = layers.Dense(64, outputs, kernel_init=output_init, rngs=rngs)
        self.squash = squash

    def __call__(self, x: Array) -> Array:
        """Outputs: logits, or activations where they are squashed."""
        return self.squash(self.net(x))


def squared_error(outputs: Array, labels: Array) -> Array:
    """Half the sum of squared differences from the one-hot target, as textbooks write it."""
    target = jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)
    return jnp.square(outputs - target).sum(axis=-1) / 2


class SquaredError(Study):
    """A study of classifiers trained by `squared_error`, judged by accuracy like any other."""

    def prepare(self) -> Prepared:
        """The data, and the task with the other loss."""
        found = super().prepare()
        metrics = {**found.task.metrics, "loss": squared_error}
        return found._replace(task=replace(found.task, loss=squared_error, metrics=metrics))


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Steps and accuracies with either loss, and what each says to the outputs at first."""
    for seed in range(configuration["seeds"]):
        for start in STARTS:
            for squash, value in _gradients(seed, start).items():
                found.add(f"gradient, {_condition(squash, start)}: {GRADIENT}", value)
    if not configuration["train"]:
        return
    settings = {
        "model": Classifier,
        "learning_rates": configuration["learning_rates"],
        "seeds": configuration["seeds"],
        "epochs": configuration["epochs"],
    }
    entropy = shared.run(found, Study(factors={"output_init": STARTS}, **settings), "entropy")
    factors = {"squash": SQUASHED, "output_init": STARTS}
    squared = shared.run(found, SquaredError(factors=factors, **settings), "squared")
    target = configuration["target"]
    fast_entropy = by_steps(found, entropy, "entropy", target)
    fast_squared = by_steps(found, squared, "squared", target)
    for start in STARTS:
        for squash in SQUASHED:
            where = _condition(squash, start)
            levels = {"squash": squash, "output_init": start}
            rows = row_of(entropy, output_init=start), row_of(squared, **levels)
            found.add(f"{where}, in the end: {AHEAD}", *points(*rows))
            rows = row_of(fast_squared, **levels), row_of(fast_entropy, output_init=start)
            found.add(f"{where}: {STEPS_FIGURE}", *ratio(*rows))


def _condition(squash: str, start: str) -> str:
    return f"{squash} outputs{'' if start == 'He' else f', {start} weights at first'}"


def _gradients(seed: int, start: str) -> dict[str, float]:
    """The mean size of dL/dz at the weighted sums z of the outputs, of one loss over the other."""
    prepared = engine.prepare(data.load("digits"), 0.2)
    x = training.normalize(jnp.asarray(prepared.inputs[:256]), prepared)
    labels = jnp.asarray(prepared.targets[:256])
    net = Classifier((8, 8, 1), 10, output_init=STARTS[start], rngs=nnx.Rngs(seed))
    z = net(x)

    def size(loss: Callable[[Array], Array]) -> Array:
        return jnp.linalg.norm(jax.grad(lambda z: loss(z).sum())(z), axis=-1).mean()

    entropy = size(lambda z: losses.cross_entropy(z, labels))
    return {
        name: float(entropy / size(lambda z, squash=squash: squared_error(squash(z), labels)))
        for name, squash in SQUASHED.items()
    }


WHERE = [_condition(squash, start) for start in STARTS for squash in SQUASHED]
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
        *(at_least(f"{where}: {STEPS_FIGURE}", STEPS) for where in WHERE),
        *(at_least(f"{where}, in the end: {AHEAD}", POINTS) for where in WHERE),
        *(
            at_least(f"gradient, {where}: {GRADIENT}", 2.0, f"gradient, {null}: {GRADIENT}")
            for start in STARTS
            for where, null in [(_condition("sigmoid", start), _condition("linear", start))]
        ),
    ],
    measure=measure,
)
