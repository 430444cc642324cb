"""The program of many runs, and the program of one run as text."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from jcnn.engine._devices import RUNS
from jcnn.engine._initialization import Builder, first_state, sampled_examples
from jcnn.training.run import Data, Hyperparameters, Recipe, RunState, Structure, advance


def runs_program(
    structure: Structure, recipe: Recipe, mesh: Mesh, at_once: int | None = None
) -> jax.stages.Wrapped:
    """Return `advance` over a runs axis sharded over `mesh`: one program for any number of runs.

    The program takes `(states, hyperparameters, batches, data, ranges)`; the first three have a
    leading runs axis. Each device trains `at_once` of its runs at a time. By default, a CPU trains
    one after another (`lax.map`): small networks stay in cache and convolutions keep their fast
    kernels. On other devices all runs are vmapped, which fills an accelerator.
    """
    if at_once is None and mesh.devices.flat[0].platform == "cpu":
        at_once = 1

    def local(states: Any, values: Any, batches: Array, data: Data, ranges: Array) -> Any:
        def train_run(run: tuple[RunState, Hyperparameters, Array]) -> Any:
            state, run_values, run_batches = run
            return advance(structure, recipe, state, run_values, run_batches, data, ranges)

        runs = (states, values, batches)
        if at_once is None or at_once >= len(batches):
            return jax.vmap(train_run)(runs)
        return jax.lax.map(train_run, runs, batch_size=None if at_once == 1 else at_once)

    sharded, replicated = PartitionSpec(RUNS), PartitionSpec()
    # Runs never communicate, so the check of varying manual axes has nothing to verify.
    mapped = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(sharded, sharded, sharded, replicated, replicated),
        out_specs=sharded,
        check_vma=False,
    )
    return jax.jit(mapped, donate_argnums=0)


def program_text(build: Builder, recipe: Recipe, batch_size: int, data: Data) -> str:
    """Return what a run computes, as StableHLO text: its initialization, then `advance`.

    The text is the same for every seed and all hyperparameters, in every process. Nothing is
    compiled.

    >>> from jcnn import data, engine, models, training
    >>> digits = engine.prepare(data.load("digits"), 0.2)
    >>> recipe = Recipe(training.classification(), training.optimizers.sgd, "constant", 20, 0, None)
    >>> def build(rngs):
    ...     return models.mlp((8, 8, 1), 10, hidden=(8,), rngs=rngs)
    >>> text = program_text(build, recipe, 32, digits)
    >>> "module" in text, text == program_text(build, recipe, 32, digits)
    (True, True)
    """
    structures: list[Structure] = []

    def initial(seed: Array, examples: Data | None) -> RunState:
        structure, state = first_state(build, recipe, seed, examples)
        structures.append(structure)
        return state

    with jax.disable_jit(False):
        drawn = jax.jit(initial).lower(jnp.uint32(0), sampled_examples([build], data))

    # These functions' names are part of the text, and so of the keys of runs already on disk.
    def one(state: RunState, values: Hyperparameters, batches: Array, data: Data) -> Any:
        ranges = jnp.zeros(4, jnp.int32)
        return advance(structures[0], recipe, state, values, batches, data, ranges)

    values = Hyperparameters(*[jax.ShapeDtypeStruct((), jnp.float32)] * 3)
    steps = len(data.inputs) // batch_size
    batches = jax.ShapeDtypeStruct((steps, batch_size), jnp.int32)
    with jax.disable_jit(False):
        shapes = Data(*(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in data))
        trained = jax.jit(one).lower(drawn.out_info, values, batches, shapes)
    return f"{drawn.as_text()}\n{trained.as_text()}"
