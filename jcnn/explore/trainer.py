"""One network in training: a compiled step, advanced in ranges of an epoch's steps."""

import math
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn import training
from jcnn.engine import epoch_batches, steps_per_epoch
from jcnn.explore.choice import Choice
from jcnn.explore.subject import Subject
from jcnn.layers import Sequential
from jcnn.names import lookup

BATCH_SIZE = 32
MOMENTUM = 0.9

_TASK = training.classification()
_LOSS = list(_TASK.metrics).index("loss")


class Progress(NamedTuple):
    """The position of a training after a call, and the mean loss over the call's steps."""

    step: int
    epoch: float
    loss: float


class Trainer:
    """Trains the network of a choice; constructing it compiles the step.

    `learning_rate()` is asked before each call. `progress` is that after the last call.
    """

    def __init__(
        self, subject: Subject, choice: Choice, learning_rate: Callable[[], float]
    ) -> None:
        self.progress = Progress(step=0, epoch=0.0, loss=math.nan)
        self._learning_rate = learning_rate
        self._data, self._seed = subject.data, choice.seed
        self._examples = len(subject.data.inputs)
        self._batch_size = min(BATCH_SIZE, self._examples)
        self.steps_per_epoch = steps_per_epoch(self._examples, self._batch_size)
        model = choice.model(subject.input_shape, len(subject.classes))
        self._structure, params, rest = training.split_model(model)
        self._state = training.start(_recipe(choice.optimizer), params, rest, choice.seed)
        self._epoch = 0
        self.start_epoch(0)
        step = _step(subject, choice.structure)
        with step.lock:
            if step.compiled is None:
                step.compiled = step.program.lower(*self._arguments(0, 0, 0, 0)).compile()
        self._compiled = step.compiled

    @property
    def diverged_at(self) -> int | None:
        """The first step whose loss was not finite, if there was one."""
        step = int(self._state.diverged_at)
        return None if step == training.run.NEVER else step

    def start_epoch(self, epoch: int) -> None:
        """Draw the order of the examples for an epoch."""
        self._epoch = epoch
        batches = epoch_batches(self._seed, epoch, self._examples, self._batch_size)
        self._batches = jnp.asarray(batches)

    def train(self, first: int, stop: int) -> int:
        """Train the epoch's steps `first` to `stop`, update `progress`, and return `stop`."""
        before = np.zeros(len(_TASK.metrics)) if first == 0 else np.asarray(self._state.sums)
        self._call(first, stop, 0, 0)
        means = (np.asarray(self._state.sums) - before) / (stop - first)
        epoch = self._epoch + stop / self.steps_per_epoch
        self.progress = Progress(int(self._state.step), epoch, float(means[_LOSS]))
        return stop

    def validation_accuracy(self) -> float:
        """Evaluate the validation examples."""
        history = self._call(0, 0, 0, int(self._data.validation_batches))
        return float(history.validation["accuracy"])

    def model(self) -> Sequential:
        """Return a copy of the network with its current weights, in training mode."""
        state = self._state
        model: Sequential = nnx.merge(self._structure.train, state.params, state.rest, copy=True)
        return model

    def _call(self, first: int, stop: int, held_first: int, held_stop: int) -> training.History:
        history: training.History
        _, *arguments = self._arguments(first, stop, held_first, held_stop)
        self._state, history = self._compiled(*arguments)
        return history

    def _arguments(self, first: int, stop: int, held_first: int, held_stop: int) -> tuple[Any, ...]:
        """Return the arguments of the step, of which the first is static."""
        values = training.Hyperparameters(
            jnp.float32(self._learning_rate()), jnp.float32(MOMENTUM), jnp.float32(0)
        )
        ranges = jnp.array([first, stop, held_first, held_stop], jnp.int32)
        return self._structure, self._state, values, self._batches, self._data, ranges


@lru_cache(maxsize=16)
def _recipe(optimizer: str) -> training.Recipe:
    return training.Recipe(_TASK, lookup("optimizer", optimizer), "constant", 1, 0, None)


class _Step:
    """The step shared by all networks of a structure, and what it was compiled to.

    A trainer holds what was compiled, because `jax.clear_caches` would have it compiled again.
    """

    def __init__(self, program: Any) -> None:
        self.program, self.compiled, self.lock = program, None, threading.Lock()


@lru_cache(maxsize=16)
def _step(subject: Subject, structure: Choice) -> _Step:
    recipe = _recipe(structure.optimizer)

    @partial(jax.jit, static_argnums=0)
    def step(static: Any, state: Any, values: Any, batches: Any, data: Any, ranges: Any) -> Any:
        return training.advance(static, recipe, state, values, batches, data, ranges)

    return _Step(step)


def forget_steps() -> None:
    """Drop the compiled steps that no trainer holds."""
    _step.cache_clear()
