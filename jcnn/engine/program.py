"""Many runs as one compiled program."""

from typing import Any

import jax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from jcnn.engine.devices import RUNS
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
