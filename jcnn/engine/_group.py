"""A group: runs of the same structure, compiled as one program."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from jcnn.engine._batches import epoch_batches, steps_per_epoch
from jcnn.engine._compiled_programs import compiled
from jcnn.engine._devices import padded_count, replicated_shapes, runs_mesh, sharded_shapes
from jcnn.engine._feed import make_feed
from jcnn.engine._initialization import Builder, Initialization
from jcnn.engine._program import runs_program
from jcnn.training.run import Data, Hyperparameters, Recipe, RunState


@dataclass(frozen=True)
class Run:
    """One run: the index of its builder in the group, its seed and its hyperparameters."""

    builder: int
    seed: int
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class Group:
    """Runs that share a program: their `builders` differ only in initial values.

    `data_memory` is the number of bytes of examples that each device may hold; more are streamed.
    None means half of the device's memory, and no limit on CPU, where examples are in main memory
    anyway. `at_once` is the number of runs that each device trains at the same time (`vmap`); the
    next runs start when these have done their steps (`lax.map`). None means one on CPU, and all on
    other devices. `capacity` is the number of runs that the program has room for (default: those
    given); rows without a run do no steps.
    """

    builders: Sequence[Builder]
    runs: Sequence[Run]
    recipe: Recipe
    batch_size: int
    epochs: int
    data_memory: int | None = None
    at_once: int | None = None
    capacity: int | None = None


class CompiledGroup:
    """A group with compiled programs, before anything has run.

    Compiling runs no computation, so other groups can be compiled in threads while one trains.
    """

    def __init__(self, group: Group, data: Data) -> None:
        """Trace and compile; an error in a model is raised here."""
        self.data = data
        capacity = group.capacity or len(group.runs)
        self.mesh = runs_mesh(capacity)
        self.size = padded_count(capacity, self.mesh)
        self.examples = len(data.inputs)
        self.steps_per_epoch = steps_per_epoch(self.examples, group.batch_size)
        self.held_batches = len(data.held_inputs)
        self.validation_batches = int(data.validation_batches)
        self.initialization = Initialization(group.builders, self.size, group.recipe, data)
        self._set_runs(group)
        structure = self.initialization.structure
        program = runs_program(structure, group.recipe, self.mesh, group.at_once)
        batches = np.zeros((self.size, self.steps_per_epoch, group.batch_size), np.int32)
        with jax.disable_jit(False):  # which has no effect on programs compiled ahead of time
            lowered = program.lower(
                sharded_shapes(self.mesh, self.initialization.shapes()),
                sharded_shapes(self.mesh, self._hyperparameters()),
                sharded_shapes(self.mesh, batches),
                self.feed.shapes,
                replicated_shapes(self.mesh, np.zeros(4, np.int32)),
            )
            self._advance = compiled(lowered, [*self.mesh.devices.flat])

    def with_runs(self, runs: Sequence[Run]) -> "CompiledGroup":
        """Return the same programs for other runs of the same builders; nothing is compiled.

        Raises ValueError if there are more of them than the programs have room for.
        """
        if len(runs) > self.size:
            raise ValueError(f"{len(runs)} runs; the programs have room for {self.size}")
        other = copy.copy(self)
        other._set_runs(replace(self.group, runs=runs))
        return other

    def initial_states(self) -> RunState:
        """Draw the initial values by row."""
        return self.end_empty_rows(
            self.initialization.states([run.builder for run in self._by_row], self.seeds)
        )

    def end_empty_rows(self, states: RunState) -> RunState:
        """Count rows without a run as diverged at step 0, so that they do no steps."""
        ended = np.where(self._active, np.asarray(states.diverged_at), 0)
        return states._replace(diverged_at=jnp.asarray(ended, np.int32))

    @property
    def memory(self) -> int:
        """Bytes that training takes on each device: states, data and the program's temporaries."""
        analysis = self._advance.memory_analysis()
        parts = ("argument", "output", "temp")
        sizes = [getattr(analysis, f"{part}_size_in_bytes", 0) for part in parts]
        return int(sum(sizes) - getattr(analysis, "alias_size_in_bytes", 0))

    def _set_runs(self, group: Group) -> None:
        """Spread the runs over the rows, so that every device trains about as many."""
        per_device = self.size // self.mesh.size
        self.group = group
        self.rows = [
            i % self.mesh.size * per_device + i // self.mesh.size for i in range(len(group.runs))
        ]
        self._active = np.isin(np.arange(self.size), self.rows)
        self._by_row = [group.runs[0]] * self.size
        for row, run in zip(self.rows, group.runs, strict=True):
            self._by_row[row] = run
        self.seeds = [run.seed for run in self._by_row]
        self.feed = make_feed(self.data, self.mesh, self.seeds, group.batch_size, group.data_memory)

    def _hyperparameters(self) -> Hyperparameters:
        columns = zip(*(run.hyperparameters for run in self._by_row), strict=True)
        return Hyperparameters(*(np.array(column, np.float32) for column in columns))

    def _batches(self, epoch: int) -> np.ndarray:
        by_seed = {
            seed: epoch_batches(seed, epoch, self.examples, self.group.batch_size)
            for seed in set(self.seeds)
        }
        return np.stack([by_seed[seed] for seed in self.seeds])
