"""The initial states of runs, drawn on the device by programs that are compiled ahead of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn.data import sample_indices
from jcnn.engine._compiled_programs import compiled
from jcnn.training.model import split_model
from jcnn.training.run import Data, Recipe, RunState, Structure, normalize, start

Builder = Callable[[nnx.Rngs], nnx.Module]

# The number of training examples that initial values may be fitted to.
EXAMPLES = 128


@dataclass(frozen=True)
class Fitted:
    """A builder whose model is fitted to data: `fit(model, x)` returns the model that trains.

    `x` holds 128 training examples (`jcnn.data.sample_indices`), normalized, the same for every
    seed.
    """

    build: Builder
    fit: Callable[[nnx.Module, jax.Array], nnx.Module]

    def __call__(self, rngs: nnx.Rngs) -> nnx.Module:
        """Return the model before it is fitted."""
        return self.build(rngs)


class Initialization:
    """The initial states of `size` runs, each of any of the `builders` and from any seed.

    Every builder gets the same key for a seed. `Fitted` builders get a sample of `data`.
    Constructing this traces and compiles but runs nothing, so it is safe in any thread.
    """

    def __init__(self, builders: Sequence[Builder], size: int, recipe: Recipe, data: Data) -> None:
        structures: list[Structure] = []

        def initial(build: Builder, examples: Data | None, seed: jax.Array) -> RunState:
            structure, state = first_state(build, recipe, seed, examples)
            structures.append(structure)
            return jax.tree.map(_strongly_typed, state)

        def stacked(chosen: jax.Array, seeds: jax.Array, examples: Data | None) -> RunState:
            branches = [partial(initial, build, examples) for build in builders]

            def draw(run: tuple[jax.Array, jax.Array]) -> RunState:
                state: RunState = jax.lax.switch(run[0], branches, run[1])
                return state

            return _over(draw, (chosen, seeds))

        self._examples = sampled_examples(builders, data)
        empty = np.zeros(size, np.int32), np.zeros(size, np.uint32)
        self._program = _compile(stacked, *empty, self._examples)
        self.structure = structures[0]

    def shapes(self) -> RunState:
        """Return the shapes and dtypes of the stacked states."""
        shapes: RunState = self._program.out_info
        return shapes

    def states(self, chosen: Sequence[int], seeds: Sequence[int]) -> RunState:
        """Draw stacked initial values: run i is `builders[chosen[i]]`'s model from `seeds[i]`."""
        with jax.disable_jit(False):  # the program is compiled already
            states: RunState = self._program(
                np.asarray(chosen, np.int32), np.asarray(seeds, np.uint32), self._examples
            )
        return states


def sampled_examples(builders: Sequence[Builder], data: Data) -> Data | None:
    """Return the examples that `Fitted` builders fit to, or None if no builder is `Fitted`."""
    if not any(isinstance(build, Fitted) for build in builders):
        return None
    chosen = sample_indices(data.targets, EXAMPLES)
    return Data(data.inputs[chosen], *[None] * 5, mean=data.mean, std=data.std)


def first_model(build: Builder, seed: jax.Array | int, examples: Data | None) -> nnx.Module:
    """Return a run's model before the first step; `examples` is from `sampled_examples`.

    >>> from jcnn import data, diagnosis, engine, models
    >>> def build(rngs):
    ...     return models.mlp((8, 8, 1), 10, hidden=(8,), rngs=rngs)
    >>> fitted = Fitted(build, diagnosis.lsuv)
    >>> examples = sampled_examples([fitted], engine.prepare(data.load("digits"), 0.2))
    >>> x = normalize(jnp.asarray(examples.inputs), examples)
    >>> len(x), round(float(first_model(fitted, 0, examples)(x).std()), 3)
    (128, 1.0)
    """
    model = build(nnx.Rngs(jax.random.key(seed)))
    if isinstance(build, Fitted) and examples is not None:
        return build.fit(model, normalize(jnp.asarray(examples.inputs), examples))
    return model


def first_state(
    build: Builder, recipe: Recipe, seed: jax.Array, examples: Data | None
) -> tuple[Structure, RunState]:
    """Return a run's structure and state before the first step."""
    structure, params, rest = split_model(first_model(build, seed, examples))
    return structure, start(recipe, params, rest, seed)


def _strongly_typed(leaf: jax.Array) -> jax.Array:
    """The branches of a switch must agree in weak types, too."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf
    return jax.lax.convert_element_type(leaf, leaf.dtype)


def _over(
    draw: Callable[[tuple[jax.Array, jax.Array]], RunState], runs: tuple[jax.Array, jax.Array]
) -> RunState:
    # On CPU in jaxlib 0.10, batched QR decompositions (orthogonal initializers) that run at the
    # same time deadlock: each blocks a thread of the pool while it waits for the others.
    sequential = jax.default_backend() == "cpu"
    states: RunState = jax.lax.map(draw, runs) if sequential else jax.vmap(draw)(runs)
    return states


def _compile(
    stacked: Callable[[jax.Array, jax.Array, Data | None], RunState],
    chosen: np.ndarray,
    seeds: np.ndarray,
    examples: Data | None,
) -> jax.stages.Compiled:
    # A program that runs once does not repay XLA's full optimization: on CPU a LeNet's
    # initialization took 3.7 s to compile at the default level and 0.9 s at level 1. The values
    # differ only by rounding.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    with jax.disable_jit(False):
        lowered = jax.jit(stacked, compiler_options=options).lower(chosen, seeds, examples)
    return compiled(lowered, jax.local_devices()[:1])
