"""The runs' initial states, drawn on the device by programs compiled beforehand."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn.training.run import Recipe, RunState, Structure, split_model, start

Builder = Callable[[nnx.Rngs], nnx.Module]

# What was compiled in this process, by the program's text: models that differ in activation or
# pooling alone draw the same initial values.
_compiled: dict[str, jax.stages.Compiled] = {}


class Initialization:
    """The initial states of runs: run i is `builders[assigned[i]]`'s model from `seeds[i]`.

    A seed gives every builder one key. Making this traces and compiles and runs nothing, so it may
    be done in any thread.
    """

    def __init__(
        self,
        builders: Sequence[Builder],
        assigned: Sequence[int],
        seeds: Sequence[int],
        recipe: Recipe,
    ) -> None:
        structures: list[Structure] = []
        self.parts: list[tuple[jax.stages.Compiled, np.ndarray]] = []
        places: list[int] = []
        for b, build in enumerate(builders):

            def initial(seed: jax.Array, build: Builder = build) -> RunState:
                structure, params, rest = split_model(build(nnx.Rngs(jax.random.key(seed))))
                structures.append(structure)
                return start(recipe, params, rest)

            mine = [i for i, builder in enumerate(assigned) if builder == b]
            if mine:
                own_seeds = np.array([seeds[i] for i in mine], np.uint32)
                self.parts.append((_compile(initial, own_seeds), own_seeds))
                places += mine
        self.structure = structures[0]
        self.order = np.argsort(places)

    def shapes(self) -> RunState:
        """Shapes and dtypes of the stacked states."""
        count = len(self.order)
        shapes: RunState = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape[1:]), leaf.dtype),
            self.parts[0][0].out_info,
        )
        return shapes

    def states(self) -> RunState:
        """Draw the initial values, stacked in the order of the runs."""
        drawn = [program(seeds) for program, seeds in self.parts]
        states: RunState = jax.tree.map(
            lambda *leaves: jnp.concatenate(leaves)[self.order], *drawn
        )
        return states


def _compile(initial: Callable[[jax.Array], RunState], seeds: np.ndarray) -> jax.stages.Compiled:
    # A program that runs once is not worth XLA's full effort: on CPU a LeNet's initial values took
    # 3.7 s to compile, and 0.9 s so; the values drawn are the same but for rounding.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    lowered = jax.jit(jax.vmap(initial), compiler_options=options).lower(seeds)
    text = lowered.as_text()
    if text not in _compiled:
        _compiled[text] = lowered.compile()
    return _compiled[text]
