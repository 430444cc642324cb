"""The best network of a study, trained once more and inspected layer by layer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.analysis.labels import short_label
from jcnn.analysis.ranking import Row
from jcnn.analysis.result import Result
from jcnn.data import Dataset, sample_indices
from jcnn.diagnosis import Diagnosis, MeanFieldPrediction
from jcnn.errors import UsageError
from jcnn.export import weights
from jcnn.study.best_model import best_seed
from jcnn.study.factors import LEARNING_RATE
from jcnn.study.first_combination import diagnose_first, predict_first
from jcnn.study.retrain import retraining
from jcnn.study.storage.weights import keep_weights
from jcnn.study.study import Study
from jcnn.tracing import TracedModel, evaluate, trace
from jcnn.training import normalize, predict

# The number of examples whose layers are recorded, of values recorded per layer, and of examples on
# which gradients are measured.
_RECORDED, _SAMPLE, _GRADIENT_EXAMPLES = 128, 4000, 128


class Stage(NamedTuple):
    """The values at one place of the network for one example, without a batch axis."""

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class ModelInspection:
    """The best combination trained once more at its chosen rate, from the best seed on validation.

    `outputs` are those for the test inputs. `example` is the index of a test example that the
    network classifies correctly, and `stages` are its values on the way through the network: after
    each layer with its activation, and after each pooling. `kernel` is the first layer's kernel.
    `layers` names the activations; `samples[epoch][layer]` holds values of each over several
    examples, before the first epoch and after each epoch. `gradients` maps the labels of the best
    and the worst combination to their diagnosis before training and the theory's prediction; it is
    empty if the study's `diagnose` is off.
    """

    row: Row
    seed: int
    dataset: Dataset
    outputs: np.ndarray
    example: int
    stages: Sequence[Stage]
    kernel: np.ndarray
    layers: Sequence[str]
    samples: Sequence[Sequence[np.ndarray]]
    gradients: Mapping[str, tuple[Diagnosis, MeanFieldPrediction]] = field(default_factory=dict)

    @property
    def predicted(self) -> np.ndarray:
        """The predicted class of each test example (with one output: whether it is positive)."""
        if self.outputs.shape[-1] == 1:
            return (self.outputs[:, 0] > 0).astype(np.int32)
        classes: np.ndarray = self.outputs.argmax(axis=-1)
        return classes

    def probabilities(self) -> np.ndarray:
        """The predicted probability of each class, `(examples, classes)`."""
        outputs = self.outputs.astype(np.float64)
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        shares: np.ndarray = exponentials / exponentials.sum(axis=-1, keepdims=True)
        return shares

    def confusion(self) -> np.ndarray:
        """The confusion matrix of the test examples: true classes are rows."""
        classes = self.dataset.num_classes or 0
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.dataset.test_targets, self.predicted), 1)
        return counts

    def most_confused(self, most: int = 12) -> list[int]:
        """Misclassified test examples, the most confident mistakes first."""
        wrong = np.flatnonzero(self.predicted != self.dataset.test_targets)
        confidence = self.probabilities()[wrong, self.predicted[wrong]]
        return wrong[np.argsort(-confidence, kind="stable")][:most].tolist()


def inspect_model(study: Study, result: Result, directory: Path | None = None) -> ModelInspection:
    """Train the best combination of a study's result once more, and inspect it.

    It is trained from the seed that `best_model` chooses, and with `directory`, the study's own,
    its weights are kept there.

    Raises UsageError if no combination was trained to the end, or if it cannot be trained again.

    >>> from jcnn.study import Study
    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> inspect_model(study, study.run()).confusion().shape
    (10, 10)
    """
    rows = result.answer.rows
    if not rows:
        raise UsageError("no combination was trained to the end, so there is no best network")
    row, seed = rows[0], best_seed(result, rows[0])
    prepared = study.prepare()
    dataset, data = prepared.dataset, prepared.data
    recorded = sample_indices(dataset.train_targets, _RECORDED)
    inputs = normalize(jnp.asarray(dataset.train_inputs[recorded]), data)
    recorder = _LayerRecorder(inputs)
    samples: list[Sequence[np.ndarray]] = []
    job, start = retraining(study, row.combination, row.learning_rate, [seed], prepared)
    training, epochs = start(), 0
    samples.append(recorder.sample(training.model(0)))
    for _ in training.run():
        if training.epochs > epochs:
            epochs = training.epochs
            samples.append(recorder.sample(training.model(0)))
    model = training.model(0)
    if directory is not None and result.form is None:
        keep_weights(directory, weights(model), training.outcomes[0].test, job.runs[0].key)
    outputs = predict(model, dataset.test_inputs, data)
    example = _correct_example(outputs, dataset)
    picture = normalize(jnp.asarray(dataset.test_inputs[example : example + 1]), data)
    values = recorder(model, jnp.concatenate([picture] * len(inputs)))
    traced = recorder.traced
    kernel = jax.tree.leaves(nnx.state(model))[traced.layers[0].kernels[0]]
    return ModelInspection(
        row,
        seed,
        dataset,
        outputs,
        example,
        stages=_stages(traced, values, dataset.test_inputs[example]),
        kernel=np.asarray(kernel, np.float32),
        layers=[block.name for block in traced.layers if block.activation is not None],
        samples=samples,
        gradients={} if study.diagnose is None else _gradients(study, rows),
    )


def _gradients(
    study: Study, rows: Sequence[Row]
) -> dict[str, tuple[Diagnosis, MeanFieldPrediction]]:
    """The best and the worst combination before training: measured, and predicted by theory."""
    gradients = {}
    for row in {rows[0].combination: rows[0], rows[-1].combination: rows[-1]}.values():
        levels = study.combinations[row.combination].levels
        factors = {
            name: {level.name: level.value} for name, level in levels if name != LEARNING_RATE
        }
        only = replace(study, factors=factors, points=None, halving_epochs=None)
        gradients[short_label(row.levels)] = (
            diagnose_first(only, examples=_GRADIENT_EXAMPLES),
            predict_first(only, examples=_GRADIENT_EXAMPLES),
        )
    return gradients


class _LayerRecorder:
    """The values at every layer of models of one structure, on batches of one shape."""

    def __init__(self, x: Array) -> None:
        self.x = x
        self._values: Callable[..., dict[int, Any]] | None = None

    def __call__(self, model: nnx.Module, x: Array) -> dict[int, np.ndarray]:
        if self._values is None:
            self.traced = traced = trace(model, x)
            places = {place for b in traced.layers for place in (b.input, b.weighted, b.output)}

            def values(leaves: Sequence[Any], x: Array) -> dict[int, Any]:
                everything = evaluate(traced.program, [*leaves, x])
                return {place: everything[place] for place in places}

            self._values = jax.jit(values)
        recorded = self._values(jax.tree.leaves(nnx.state(model)), x)
        return {place: np.asarray(value, np.float32) for place, value in recorded.items()}

    def sample(self, model: nnx.Module) -> list[np.ndarray]:
        """Some values of each activation."""
        recorded = self(model, self.x)
        blocks = [block for block in self.traced.layers if block.activation is not None]
        flat = [recorded[block.output].reshape(-1) for block in blocks]
        return [values[:: max(1, len(values) // _SAMPLE)] for values in flat]


def _stages(traced: TracedModel, values: dict[int, np.ndarray], raw: np.ndarray) -> list[Stage]:
    """The input, each layer's output, and the next layer's input if pooling made it smaller."""
    stages = [Stage("input", raw)]
    for block, following in zip(traced.layers, [*traced.layers[1:], None], strict=True):
        activation = block.activation.name() if block.activation else None
        name = f"{block.name}, {activation}" if activation else block.name
        output = values[block.output][0]
        stages.append(Stage(name, output))
        if following is not None and output.ndim > 1:
            pooled = _unflattened(values[following.input][0], output.shape)
            if pooled.ndim == output.ndim and pooled.shape[:-1] != output.shape[:-1]:
                stages.append(Stage("pooled", pooled))
    return stages


def _unflattened(values: np.ndarray, before: tuple[int, ...]) -> np.ndarray:
    """The flat input of a dense layer as the feature map, pooled by one integer factor, it was."""
    *spatial, channels = before
    if values.ndim > 1 or values.size % channels:
        return values
    factor = round((math.prod(spatial) * channels / values.size) ** (1 / len(spatial)))
    shape = [length // max(factor, 1) for length in spatial]
    fits = math.prod(shape) * channels == values.size
    return values.reshape(*shape, channels) if fits else values


def _correct_example(outputs: np.ndarray, dataset: Dataset) -> int:
    """A test example that is classified correctly, if there is one."""
    if dataset.num_classes is None:
        return 0
    predicted = outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else outputs[:, 0] > 0
    correct = np.flatnonzero(predicted == dataset.test_targets)
    return int(correct[0]) if len(correct) else 0
