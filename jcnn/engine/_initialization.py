"""The initial states of runs, drawn on the device by programs that are compiled ahead of time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn.data import sample_indices
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


# Programs that this process has compiled, by their text: models that differ only in activation or
# pooling draw the same initial values.
_compiled: dict[str, jax.stages.Compiled] = {}


class Initialization:
    """The initial states of runs: run i starts as `builders[assigned[i]]`'s model from `seeds[i]`.

    Every builder gets the same key for a seed. `Fitted` builders get a sample of `data`.
    Constructing this traces and compiles but runs nothing, so it is safe in any thread.
    """

    def __init__(
        self,
        builders: Sequence[Builder],
        assigned: Sequence[int],
        seeds: Sequence[int],
        recipe: Recipe,
        data: Data,
    ) -> None:
        structures: list[Structure] = []

        def initial(build: Builder, examples: Data | None, seed: jax.Array) -> RunState:
            structure, state = first_state(build, recipe, seed, examples)
            structures.append(structure)
            return state

        shares = [[i for i, a in enumerate(assigned) if a == b] for b in range(len(builders))]
        # An argument of the program: XLA:GPU folds a gather from initial zeros by constant indices
        # at compile time, for seconds.
        self._order = np.argsort(np.concatenate(shares), kind="stable").astype(np.int32)

        def stacked(
            seeds: Sequence[jax.Array], order: jax.Array, examples: Data | None
        ) -> RunState:
            drawn = [
                _over(partial(initial, build, examples), builder_seeds)
                for build, builder_seeds in zip(builders, seeds, strict=True)
            ]
            if len(drawn) == 1:
                return drawn[0]

            def in_order(*leaves: jax.Array) -> jax.Array:
                return jnp.concatenate(leaves).at[order].get(mode="promise_in_bounds")

            states: RunState = jax.tree.map(in_order, *drawn)
            return states

        self.seeds = [np.array([seeds[i] for i in share], np.uint32) for share in shares]
        self._examples = sampled_examples(builders, data)
        self._program = _compile(stacked, self.seeds, self._order, self._examples)
        self.structure = structures[0]

    def shapes(self) -> RunState:
        """Return the shapes and dtypes of the stacked states."""
        shapes: RunState = self._program.out_info
        return shapes

    def states(self) -> RunState:
        """Draw the initial values, stacked in the order of the runs."""
        with jax.disable_jit(False):  # the program is compiled already
            states: RunState = self._program(self.seeds, self._order, self._examples)
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


def _over(initial: Callable[[jax.Array], RunState], seeds: jax.Array) -> RunState:
    # On CPU in jaxlib 0.10, batched QR decompositions (orthogonal initializers) that run at the
    # same time deadlock: each blocks a thread of the pool while it waits for the others.
    sequential = jax.default_backend() == "cpu"
    states: RunState = jax.lax.map(initial, seeds) if sequential else jax.vmap(initial)(seeds)
    return states


def _compile(
    stacked: Callable[[Sequence[jax.Array], jax.Array, Data | None], RunState],
    seeds: Sequence[np.ndarray],
    order: np.ndarray,
    examples: Data | None,
) -> jax.stages.Compiled:
    # A program that runs once does not repay XLA's full optimization: on CPU a LeNet's
    # initialization took 3.7 s to compile at the default level and 0.9 s at level 1. The values
    # differ only by rounding.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    with jax.disable_jit(False):
        lowered = jax.jit(stacked, compiler_options=options).lower(seeds, order, examples)
    text = lowered.as_text()
    if text not in _compiled:
        _compiled[text] = lowered.compile()
    return _compiled[text]
