"""The runs' initial states, drawn on the device by programs compiled beforehand."""

from collections.abc import Callable, Sequence
from functools import partial

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

        def initial(build: Builder, seed: jax.Array) -> RunState:
            structure, state = first_state(build, recipe, seed)
            structures.append(structure)
            return state

        shares = [[i for i, a in enumerate(assigned) if a == b] for b in range(len(builders))]
        order = np.argsort(np.concatenate(shares), kind="stable")

        def stacked(seeds: Sequence[jax.Array]) -> RunState:
            drawn = [
                _over(partial(initial, build), own)
                for build, own in zip(builders, seeds, strict=True)
            ]
            together: RunState = jax.tree.map(
                lambda *leaves: jnp.concatenate(leaves)[order], *drawn
            )
            return together

        self.seeds = [np.array([seeds[i] for i in share], np.uint32) for share in shares]
        self._program = _compile(stacked, self.seeds)
        self.structure = structures[0]

    def shapes(self) -> RunState:
        """Shapes and dtypes of the stacked states."""
        shapes: RunState = self._program.out_info
        return shapes

    def states(self) -> RunState:
        """Draw the initial values, stacked in the order of the runs."""
        states: RunState = self._program(self.seeds)
        return states


def first_state(build: Builder, recipe: Recipe, seed: jax.Array) -> tuple[Structure, RunState]:
    """A run's model and state before the first step."""
    structure, params, rest = split_model(build(nnx.Rngs(jax.random.key(seed))))
    return structure, start(recipe, params, rest, seed)


def _over(initial: Callable[[jax.Array], RunState], seeds: jax.Array) -> RunState:
    # Batched QR decompositions (orthogonal initializers) that run at the same time wait for each
    # other for ever on CPU in jaxlib 0.10: each blocks a thread of the pool and waits for others.
    one_by_one = jax.default_backend() == "cpu"
    states: RunState = jax.lax.map(initial, seeds) if one_by_one else jax.vmap(initial)(seeds)
    return states


def _compile(
    stacked: Callable[[Sequence[jax.Array]], RunState], seeds: Sequence[np.ndarray]
) -> jax.stages.Compiled:
    # A program that runs once is not worth XLA's full effort: on CPU a LeNet's initial values took
    # 3.7 s to compile, and 0.9 s so; the values drawn are the same but for rounding.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    lowered = jax.jit(stacked, compiler_options=options).lower(seeds)
    text = lowered.as_text()
    if text not in _compiled:
        _compiled[text] = lowered.compile()
    return _compiled[text]
