"""Many runs as one compiled program."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from jcnn.engine.devices import RUNS
from jcnn.engine.initial import Builder, first_examples, first_state
from jcnn.training.run import Data, Hyperparameters, Recipe, RunState, Structure, advance


def runs_program(structure: Structure, recipe: Recipe, mesh: Mesh) -> jax.stages.Wrapped:
    """`advance` for a runs axis that is sharded over `mesh`: one program, however many runs.

    The program takes `(states, hyperparameters, batches, data, ranges)`; the first three have a
    leading runs axis. On CPU each device takes its runs one after another (`lax.map`): small
    networks stay in cache and convolutions keep their fast kernels. Elsewhere they are vmapped,
    which is what fills an accelerator.
    """
    one_by_one = mesh.devices.flat[0].platform == "cpu"

    def local(states: Any, values: Any, batches: Array, data: Data, ranges: Array) -> Any:
        def one(run: tuple[RunState, Hyperparameters, Array]) -> Any:
            state, numbers, order = run
            return advance(structure, recipe, state, numbers, order, data, ranges)

        runs = (states, values, batches)
        return jax.lax.map(one, runs) if one_by_one else jax.vmap(one)(runs)

    along, whole = PartitionSpec(RUNS), PartitionSpec()
    # No run reads another's values, so there is nothing for the check of varying axes to prove.
    sharded = jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(along, along, along, whole, whole),
        out_specs=along,
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=0)


def program_text(build: Builder, recipe: Recipe, batch_size: int, data: Data) -> str:
    """What a run computes, as text: from seed to first state, then `advance`; nothing is compiled.

    It is the same for every seed and every hyperparameter, in every process.

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

    def initial(seed: Array, few: Data | None) -> RunState:
        structure, state = first_state(build, recipe, seed, few)
        structures.append(structure)
        return state

    drawn = jax.jit(initial).lower(jnp.uint32(0), first_examples([build], data))

    def one(state: RunState, values: Hyperparameters, batches: Array, data: Data) -> Any:
        ranges = jnp.zeros(4, jnp.int32)
        return advance(structures[0], recipe, state, values, batches, data, ranges)

    values = Hyperparameters(*[jax.ShapeDtypeStruct((), jnp.float32)] * 3)
    steps = len(data.inputs) // batch_size
    batches = jax.ShapeDtypeStruct((steps, batch_size), jnp.int32)
    trained = jax.jit(one).lower(drawn.out_info, values, batches, data)
    return f"{drawn.as_text()}\n{trained.as_text()}"
