"""What the best network of a study does with single examples, layer by layer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.analysis.ranking import Row
from jcnn.data import Dataset
from jcnn.errors import UsageError
from jcnn.study.retrain import train_one
from jcnn.tracing.blocks import Traced, trace
from jcnn.tracing.program import evaluate
from jcnn.training import normalize, predict

if TYPE_CHECKING:
    from jcnn.analysis.result import Result
    from jcnn.study.study import Study

# Examples whose layers are kept; values of each layer that stand for all.
_WATCHED, _SAMPLE = 128, 4000


class Stage(NamedTuple):
    """What stands somewhere in the network for one example: `values` without a batch axis."""

    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Portrait:
    """The best combination trained once more at its chosen rate, from the study's first seed.

    `outputs` are those for the test inputs. `example` is the index of a test example that the
    network gets right, and `stages` what it becomes on its way: after each layer with its
    activation, and after each pooling. `kernel` is that of the first layer. `layers` name the
    activations of which `samples[epoch][layer]` are values over several examples, before the first
    epoch and after each.
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

    @property
    def predicted(self) -> np.ndarray:
        """The class that each test example is taken for (one output: whether it is positive)."""
        if self.outputs.shape[-1] == 1:
            return (self.outputs[:, 0] > 0).astype(np.int32)
        found: np.ndarray = self.outputs.argmax(axis=-1)
        return found

    def probabilities(self) -> np.ndarray:
        """What the network gives each class, `(examples, classes)`."""
        outputs = self.outputs.astype(np.float64)
        if outputs.shape[-1] == 1:
            outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        raised = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        found: np.ndarray = raised / raised.sum(axis=-1, keepdims=True)
        return found

    def confusion(self) -> np.ndarray:
        """How many test examples of each class (rows) are taken for each (columns)."""
        classes = self.dataset.num_classes or 0
        counts = np.zeros((classes, classes), np.int64)
        np.add.at(counts, (self.dataset.test_targets, self.predicted), 1)
        return counts

    def most_confused(self, most: int = 12) -> list[int]:
        """Test examples that are taken for another class, the surest mistakes first."""
        wrong = np.flatnonzero(self.predicted != self.dataset.test_targets)
        sure = self.probabilities()[wrong, self.predicted[wrong]]
        return wrong[np.argsort(-sure, kind="stable")][:most].tolist()


def portrait(study: "Study", result: "Result") -> Portrait:
    """Train the best combination of a result once more, and look at what it does.

    Raises UsageError where it cannot be trained, or nothing was.
    """
    rows = result.ranking()
    if not rows:
        raise UsageError("nothing was trained to the end, so there is no best network")
    row, seed = rows[0], study.seed_values[0]
    prepared = study.prepare()
    dataset, data = prepared.dataset, prepared.data
    few = normalize(jnp.asarray(dataset.train_inputs[:_WATCHED]), data)
    look = _Look(few)
    samples: list[Sequence[np.ndarray]] = []
    model = train_one(
        study,
        row.combination,
        row.learning_rate,
        seed=seed,
        prepared=prepared,
        on_epoch=lambda _, model: samples.append(look.sample(model)),
    )
    outputs = predict(model, dataset.test_inputs, data)
    example = _right(outputs, dataset)
    picture = normalize(jnp.asarray(dataset.test_inputs[example : example + 1]), data)
    values = look(model, jnp.concatenate([picture] * len(few)))
    traced = look.traced
    kernel = jax.tree.leaves(nnx.state(model))[traced.blocks[0].weights[0]]
    return Portrait(
        row,
        seed,
        dataset,
        outputs,
        example,
        _stages(traced, values, dataset.test_inputs[example]),
        np.asarray(kernel, np.float32),
        [block.name for block in traced.blocks if block.activation is not None],
        samples,
    )


class _Look:
    """The values at every layer of models of one structure, on batches of one shape."""

    def __init__(self, x: Array) -> None:
        self.x = x
        self._values: Callable[..., dict[int, Any]] | None = None

    def __call__(self, model: nnx.Module, x: Array) -> dict[int, np.ndarray]:
        if self._values is None:
            self.traced = traced = trace(model, x)
            places = {place for b in traced.blocks for place in (b.input, b.weighted, b.output)}

            def values(leaves: Sequence[Any], x: Array) -> dict[int, Any]:
                found = evaluate(traced.program, [*leaves, x], {})
                return {place: found[place] for place in places}

            self._values = jax.jit(values)
        found = self._values(jax.tree.leaves(nnx.state(model)), x)
        return {place: np.asarray(value, np.float32) for place, value in found.items()}

    def sample(self, model: nnx.Module) -> list[np.ndarray]:
        """Some values of each activation."""
        found = self(model, self.x)
        blocks = [block for block in self.traced.blocks if block.activation is not None]
        flat = [found[block.output].reshape(-1) for block in blocks]
        return [one[:: max(1, len(one) // _SAMPLE)] for one in flat]


def _stages(traced: Traced, values: dict[int, np.ndarray], raw: np.ndarray) -> list[Stage]:
    """The input, then what each layer gives, and what the next one reads where that is smaller."""
    found = [Stage("input", raw)]
    for block, after in zip(traced.blocks, [*traced.blocks[1:], None], strict=True):
        activation = block.activation.name() if block.activation else None
        name = f"{block.name}, {activation}" if activation else block.name
        output = values[block.output][0]
        found.append(Stage(name, output))
        if after is not None and output.ndim > 1:
            read_next = _unflattened(values[after.input][0], output.shape)
            if read_next.ndim == output.ndim and read_next.shape[:-1] != output.shape[:-1]:
                found.append(Stage("pooled", read_next))
    return found


def _unflattened(values: np.ndarray, before: tuple[int, ...]) -> np.ndarray:
    """What a dense layer reads of a map that was pooled by one whole factor, as a map again."""
    *spatial, channels = before
    if values.ndim > 1 or values.size % channels:
        return values
    factor = round((math.prod(spatial) * channels / values.size) ** (1 / len(spatial)))
    shape = [length // max(factor, 1) for length in spatial]
    return (
        values.reshape(*shape, channels) if math.prod(shape) * channels == values.size else values
    )


def _right(outputs: np.ndarray, dataset: Dataset) -> int:
    """A test example that is taken for what it is, if there is one."""
    if dataset.num_classes is None:
        return 0
    guessed = outputs.argmax(axis=-1) if outputs.shape[-1] > 1 else outputs[:, 0] > 0
    right = np.flatnonzero(guessed == dataset.test_targets)
    return int(right[0]) if len(right) else 0
