"""A group: runs of one structure, so one compiled program; trained chunk by chunk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jcnn.engine.devices import (
    padded,
    replicate,
    replicated_shapes,
    runs_mesh,
    runs_shapes,
    shard_runs,
)
from jcnn.engine.initial import Builder, Initialization
from jcnn.engine.program import runs_program
from jcnn.training.run import Data, Hyperparameters, Recipe

# One call trains at most this many steps, counted over the runs of one device: the length of a
# progress tick, and what an interruption can lose.
STEPS_PER_CALL = 2000


@dataclass(frozen=True)
class Run:
    """One training: which of the group's builders makes its model, its seed and its numbers."""

    builder: int
    seed: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class Group:
    """Runs that share a program: `builders` differ in their initial values only."""

    builders: Sequence[Builder]
    runs: Sequence[Run]
    recipe: Recipe
    batch_size: int
    epochs: int


@dataclass
class Outcome:
    """What one run left: means per epoch, test metrics at the end, the step at which it diverged.

    `curves` maps "train_loss", "validation_accuracy" and the like to one value per epoch.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    diverged_at: int | None = None


class CompiledGroup:
    """A group whose programs are compiled; nothing has run yet.

    Compiling runs no computation, so the next groups may be compiled in threads while one trains.
    (Two threads that dispatch computations have been seen to wait for each other for ever.)
    """

    def __init__(self, group: Group, data: Data) -> None:
        """Trace and compile; a model that raises does so here."""
        self.group = group
        self.data = data
        self.mesh = runs_mesh(len(group.runs))
        self.size = padded(len(group.runs), self.mesh)
        self.runs = [*group.runs, *[group.runs[-1]] * (self.size - len(group.runs))]
        self.seeds = [run.seed for run in self.runs]
        self.examples = len(data.inputs)
        self.steps_per_epoch = steps_per_epoch(self.examples, group.batch_size)
        self.steps_per_call = _steps_per_call(self.steps_per_epoch, self.size // self.mesh.size)
        self.held_batches = len(data.held_inputs)
        self.validation_batches = int(data.validation_batches)
        self.initialization = Initialization(
            group.builders, [run.builder for run in self.runs], self.seeds, group.recipe
        )
        program = runs_program(self.initialization.structure, group.recipe, self.mesh)
        batches = np.zeros((self.size, self.steps_per_call, group.batch_size), np.int32)
        self._advance = program.lower(
            runs_shapes(self.mesh, self.initialization.shapes()),
            runs_shapes(self.mesh, self._hyperparameters()),
            runs_shapes(self.mesh, batches),
            replicated_shapes(self.mesh, data),
            replicated_shapes(self.mesh, np.zeros(2, np.int32)),
        ).compile()

    def train(self) -> Iterator[tuple[int, list[Outcome]]]:
        """Train every run to the end; after each call give `(steps done, outcomes so far)`."""
        outcomes = [Outcome() for _ in self.group.runs]
        states = shard_runs(self.mesh, self.initialization.states())
        values = shard_runs(self.mesh, self._hyperparameters())
        data = replicate(self.mesh, self.data)
        calls = self.steps_per_epoch // self.steps_per_call
        for epoch in range(self.group.epochs):
            order = self._batches(epoch).reshape(
                self.size, calls, self.steps_per_call, self.group.batch_size
            )
            histories = []
            for call in range(calls):
                ends_epoch = call == calls - 1
                ends_run = ends_epoch and epoch == self.group.epochs - 1
                stop = self.held_batches if ends_run else self.validation_batches
                held = self._held(0, stop if ends_epoch else 0)
                batches = shard_runs(self.mesh, order[:, call])
                states, history = self._advance(states, values, batches, data, held)
                histories.append(jax.device_get(history))
                if ends_epoch:
                    diverged = np.asarray(states.diverged_at)
                    _record(outcomes, histories, diverged, ends_run)
                yield epoch * self.steps_per_epoch + (call + 1) * self.steps_per_call, outcomes

    def _hyperparameters(self) -> Hyperparameters:
        columns = zip(*(run.hyperparameters for run in self.runs), strict=True)
        return Hyperparameters(*(np.array(column, np.float32) for column in columns))

    def _batches(self, epoch: int) -> np.ndarray:
        by_seed = {
            seed: epoch_batches(seed, epoch, self.examples, self.group.batch_size)
            for seed in set(self.seeds)
        }
        return np.stack([by_seed[seed] for seed in self.seeds])

    def _held(self, first: int, stop: int) -> Any:
        return replicate(self.mesh, np.array([first, stop], np.int32))


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Whole batches in an epoch; what does not fill one is left out, another part each epoch."""
    if batch_size > examples:
        raise ValueError(
            f"batch_size={batch_size} is larger than the {examples} training examples; "
            "use a smaller batch"
        )
    return examples // batch_size


def epoch_batches(seed: int, epoch: int, examples: int, batch_size: int) -> np.ndarray:
    """The indices `(steps, batch_size)` of an epoch: one order a seed, whatever the combination."""
    steps = steps_per_epoch(examples, batch_size)
    order = np.random.default_rng([seed, epoch]).permutation(examples)[: steps * batch_size]
    return order.astype(np.int32).reshape(steps, batch_size)


def _steps_per_call(steps: int, runs: int) -> int:
    """The largest divisor of an epoch that keeps a call short, so that one program serves all."""
    longest = max(STEPS_PER_CALL // runs, 1)
    return max(n for n in range(1, steps + 1) if steps % n == 0 and n <= longest)


def _record(
    outcomes: list[Outcome], histories: list[Any], diverged: np.ndarray, ends_run: bool
) -> None:
    last = histories[-1]
    for i, outcome in enumerate(outcomes):
        outcome.diverged_at = None if diverged[i] < 0 else int(diverged[i])
        for name in last.train:
            mean = float(np.mean([history.train[name][i] for history in histories]))
            outcome.curves.setdefault(f"train_{name}", []).append(mean)
            value = float(last.validation[name][i])
            outcome.curves.setdefault(f"validation_{name}", []).append(value)
            if ends_run:
                outcome.test[name] = float(last.test[name][i])
