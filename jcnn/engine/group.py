"""A group: runs of one structure, so one compiled program; trained chunk by chunk."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn.engine.devices import padded, replicate, runs_mesh, shard_runs
from jcnn.engine.program import runs_program
from jcnn.training.run import (
    Data,
    Hyperparameters,
    Recipe,
    RunState,
    Structure,
    split_model,
    start,
)

# One call trains at most this many steps, counted over the runs of one device: the length of a
# progress tick, and what an interruption can lose.
STEPS_PER_CALL = 2000

Builder = Callable[[nnx.Rngs], nnx.Module]


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
    """A group whose program is compiled and whose runs stand before their first step."""

    def __init__(self, group: Group, data: Data) -> None:
        """Build, initialize, trace and compile; a model that raises does so here."""
        self.group = group
        self.mesh = runs_mesh(len(group.runs))
        self.size = padded(len(group.runs), self.mesh)
        runs = [*group.runs, *[group.runs[-1]] * (self.size - len(group.runs))]
        self.seeds = [run.seed for run in runs]
        self.examples = len(data.inputs)
        self.steps_per_epoch = steps_per_epoch(self.examples, group.batch_size)
        self.steps_per_call = _steps_per_call(self.steps_per_epoch, self.size // self.mesh.size)
        structure, states = _initial_states(group.builders, runs, group.recipe)
        columns = zip(*(run.hyperparameters for run in runs), strict=True)
        values = Hyperparameters(*(jnp.asarray(column, jnp.float32) for column in columns))
        self.states = shard_runs(self.mesh, states)
        self.values = shard_runs(self.mesh, values)
        self.data = replicate(self.mesh, data)
        self.held_batches = len(data.held_inputs)
        self.validation_batches = int(data.validation_batches)
        program = runs_program(structure, group.recipe, self.mesh)
        batches = shard_runs(self.mesh, self._batches(0)[:, : self.steps_per_call])
        self._advance = program.lower(
            self.states, self.values, batches, self.data, self._held(0, 0)
        ).compile()

    def train(self) -> Iterator[tuple[int, list[Outcome]]]:
        """Train every run to the end; after each call give `(steps done, outcomes so far)`."""
        outcomes = [Outcome() for _ in self.group.runs]
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
                self.states, history = self._advance(
                    self.states, self.values, batches, self.data, held
                )
                histories.append(jax.device_get(history))
                if ends_epoch:
                    diverged = np.asarray(self.states.diverged_at)
                    _record(outcomes, histories, diverged, ends_run)
                yield epoch * self.steps_per_epoch + (call + 1) * self.steps_per_call, outcomes

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


def _initial_states(
    builders: Sequence[Builder], runs: Sequence[Run], recipe: Recipe
) -> tuple[Structure, RunState]:
    """The structure, and the runs' initial states stacked; a seed gives every builder one key.

    The builders run eagerly: their pieces (draw normals, scale) are compiled once a shape by JAX
    itself and shared by all initializers, where a jitted whole would be compiled for each.
    """
    structures: list[Structure] = []

    def initial(build: Builder, key: jax.Array) -> RunState:
        structure, params, rest = split_model(build(nnx.Rngs(key)))
        structures.append(structure)
        return start(recipe, params, rest)

    indices = [i for b in range(len(builders)) for i, run in enumerate(runs) if run.builder == b]
    parts = []
    for b, build in enumerate(builders):
        seeds = jnp.asarray([run.seed for run in runs if run.builder == b], jnp.uint32)
        keys = jax.vmap(jax.random.key)(seeds)
        parts.append(jax.vmap(lambda key, build=build: initial(build, key))(keys))
    place = np.argsort(indices)
    states = jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[place], *parts)
    return structures[0], states


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
