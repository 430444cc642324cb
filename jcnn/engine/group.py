"""A group: runs of one structure, so one compiled program; trained chunk by chunk."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx

from jcnn.engine.devices import (
    padded,
    replicated_shapes,
    runs_mesh,
    runs_shapes,
    shard_runs,
)
from jcnn.engine.feed import Call, feed_for
from jcnn.engine.initial import Builder, Initialization
from jcnn.engine.program import runs_program
from jcnn.engine.snapshot import Outcome, Snapshot, outcomes_of, put_back, taken
from jcnn.errors import UsageError
from jcnn.training import Watch
from jcnn.training.run import Data, History, Hyperparameters, Recipe

# A call is meant to last this long: a progress tick, and what an interruption can lose.
SECONDS_PER_CALL = 1.0
# The first call trains this many steps, counted over the runs of one device.
FIRST_CALL = 200


@dataclass(frozen=True)
class Run:
    """One training: which of the group's builders makes its model, its seed and its numbers."""

    builder: int
    seed: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class Group:
    """Runs that share a program: `builders` differ in their initial values only.

    `data_memory` is how many bytes of examples each device may hold: more are streamed. None means
    half of the device's memory, and no limit on CPU, where they lie in the same memory anyway.
    """

    builders: Sequence[Builder]
    runs: Sequence[Run]
    recipe: Recipe
    batch_size: int
    epochs: int
    data_memory: int | None = None


class CompiledGroup:
    """A group whose programs are compiled; nothing has run yet.

    Compiling runs no computation, so the next groups may be compiled in threads while one trains.
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
        self.held_batches = len(data.held_inputs)
        self.validation_batches = int(data.validation_batches)
        self.initialization = Initialization(
            group.builders, [run.builder for run in self.runs], self.seeds, group.recipe, data
        )
        self.feed = feed_for(data, self.mesh, self.seeds, group.batch_size, group.data_memory)
        program = runs_program(self.initialization.structure, group.recipe, self.mesh)
        batches = np.zeros((self.size, self.steps_per_epoch, group.batch_size), np.int32)
        self._advance = program.lower(
            runs_shapes(self.mesh, self.initialization.shapes()),
            runs_shapes(self.mesh, self._hyperparameters()),
            runs_shapes(self.mesh, batches),
            self.feed.shapes,
            replicated_shapes(self.mesh, np.zeros(4, np.int32)),
        ).compile()

    @property
    def memory(self) -> int:
        """Bytes that training holds on each device: states, data and what the program adds."""
        found = self._advance.memory_analysis()
        parts = ("argument", "output", "temp")
        sizes = [getattr(found, f"{part}_size_in_bytes", 0) for part in parts]
        return int(sum(sizes) - getattr(found, "alias_size_in_bytes", 0))

    def _hyperparameters(self) -> Hyperparameters:
        columns = zip(*(run.hyperparameters for run in self.runs), strict=True)
        return Hyperparameters(*(np.array(column, np.float32) for column in columns))

    def _batches(self, epoch: int) -> np.ndarray:
        by_seed = {
            seed: epoch_batches(seed, epoch, self.examples, self.group.batch_size)
            for seed in set(self.seeds)
        }
        return np.stack([by_seed[seed] for seed in self.seeds])


class Training:
    """A group under way: its states on the devices, advanced call by call; `outcomes` so far.

    `run` is the whole of it, from the start or from a snapshot of the same group. What a snapshot
    goes on to is, to the bit, what the training that was snapped would have come to.
    """

    def __init__(self, compiled: CompiledGroup, snapshot: Snapshot | None = None) -> None:
        """Draw the initial values, or put the snapshot's back: ValueError where it does not fit."""
        self._compiled = compiled
        self._feed = compiled.feed
        self._values = shard_runs(compiled.mesh, compiled._hyperparameters())
        self._history: History | None = None
        if snapshot is None:
            self._states = shard_runs(compiled.mesh, compiled.initialization.states())
            self._epoch, self._done = 0, 0
            steps = compiled.steps_per_epoch * compiled.group.epochs
            self.outcomes = [Outcome(steps=steps) for _ in compiled.group.runs]
        else:
            self._states = put_back(compiled.mesh, compiled.initialization.shapes(), snapshot)
            self._epoch, self._done = snapshot.place["epoch"], snapshot.place["done"]
            self.outcomes = outcomes_of(snapshot)

    @property
    def steps(self) -> int:
        """How many steps each run has trained."""
        return self._epoch * self._compiled.steps_per_epoch + self._done

    @property
    def epochs(self) -> int:
        """How many epochs have ended."""
        return self._epoch

    def model(self, run: int) -> nnx.Module:
        """A run's model as it stands, in the mode in which it is evaluated."""
        parts = (self._states.params, self._states.rest)
        params, rest = jax.tree.map(lambda leaf: leaf[run], parts)
        return nnx.merge(self._compiled.initialization.structure.evaluate, params, rest)

    def snapshot(self) -> Snapshot:
        """Where the training stands, copied to the host."""
        return taken(self._states, self._epoch, self._done, self.outcomes)

    def run(self) -> Iterator[int]:
        """Train every run to the end; after each call give the steps done."""
        compiled = self._compiled
        whole, epochs = compiled.steps_per_epoch, compiled.group.epochs
        steps = max(FIRST_CALL * compiled.mesh.size // compiled.size, 1)
        while self._epoch < epochs:
            self.start(self._epoch)
            while self._done < whole:
                began = time.perf_counter()
                stop, _ = self.train(self._done, min(self._done + steps, whole))
                seconds = time.perf_counter() - began
                self._spent(seconds)
                steps = max(int((stop - self._done) * SECONDS_PER_CALL / seconds), 1)
                self._done = stop
                yield self.steps
            last = self._epoch == epochs - 1
            self.evaluate(compiled.held_batches if last else compiled.validation_batches)
            self.record(self.outcomes)
            self._epoch, self._done = self._epoch + 1, 0
            yield self.steps

    def start(self, epoch: int) -> None:
        """Take the batches of an epoch."""
        self._feed.start(self._compiled._batches(epoch))

    def train(self, first: int, stop: int) -> tuple[int, History]:
        """Train on the steps of the epoch from `first` on; the step reached, and means so far."""
        call = self._feed.train(first, stop)
        return call.stop, self._call(call)

    def evaluate(self, stop: int) -> None:
        """Evaluate the first `stop` held-out batches."""
        first = 0
        while first < stop:
            call = self._feed.evaluate(first, stop)
            self._call(call)
            first = call.stop

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add the epoch's means to the outcomes."""
        if self._history is not None:
            _record(outcomes, self._history, np.asarray(self._states.diverged_at))
        watch = self._compiled.group.recipe.watch
        if watch is not None:
            first = self._epoch * self._compiled.steps_per_epoch
            _follow(outcomes, watch, first, np.asarray(self._states.watched))

    def _spent(self, seconds: float) -> None:
        for outcome in self.outcomes:
            outcome.seconds += seconds * self._compiled.mesh.size / self._compiled.size

    def _call(self, call: Call) -> History:
        self._states, history = self._compiled._advance(
            self._states, self._values, call.batches, call.data, call.ranges
        )
        self._history = jax.device_get(history)
        return self._history


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Whole batches in an epoch; what does not fill one is left out, another part each epoch.

    >>> steps_per_epoch(1000, 64)
    15
    """
    if batch_size > examples:
        raise UsageError(
            f"batch_size={batch_size} is larger than the {examples} training examples; "
            "use a smaller batch"
        )
    return examples // batch_size


def epoch_batches(seed: int, epoch: int, examples: int, batch_size: int) -> np.ndarray:
    """The indices `(steps, batch_size)` of an epoch: one order a seed, whatever the combination."""
    steps = steps_per_epoch(examples, batch_size)
    order = np.random.default_rng([seed, epoch]).permutation(examples)[: steps * batch_size]
    return order.astype(np.int32).reshape(steps, batch_size)


def _record(outcomes: Sequence[Outcome], history: History, diverged: np.ndarray) -> None:
    for i, outcome in enumerate(outcomes):
        outcome.diverged_at = None if diverged[i] < 0 else int(diverged[i])
        for name in history.train:
            for part, values in (("train", history.train), ("validation", history.validation)):
                outcome.curves.setdefault(f"{part}_{name}", []).append(float(values[name][i]))
            outcome.test[name] = float(history.test[name][i])


def _follow(outcomes: Sequence[Outcome], watch: Watch, first: int, watched: np.ndarray) -> None:
    """Add what was seen of each run in the epoch whose first step is `first`."""
    steps = range(first, first + watch.steps, watch.every)
    for outcome, numbers in zip(outcomes, watched, strict=False):
        kept = outcome.followed or {"layers": list(watch.layers), **watch.facts, "steps": []}
        kept["steps"] = [*kept["steps"], *steps]
        for i, column in enumerate(watch.columns):
            # Four digits are as many as a look at a layer needs, and a fifth of the room.
            rows = [[float(f"{value:.4g}") for value in row] for row in numbers[:, :, i]]
            kept[column] = [*kept.get(column, []), *rows]
        outcome.followed = kept
