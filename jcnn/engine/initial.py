"""The runs' initial states, drawn on the device by programs compiled beforehand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn.training.run import Data, Recipe, RunState, Structure, normalize, split_model, start

Builder = Callable[[nnx.Rngs], nnx.Module]

# So many training examples, the first, are what initial values may be fitted to.
EXAMPLES = 128


@dataclass(frozen=True)
class Fitted:
    """A builder whose model is fitted to data: `fit(model, x)` gives the model that trains.

    `x` are the first 128 training examples, normalized, the same for every seed.
    """

    build: Builder
    fit: Callable[[nnx.Module, jax.Array], nnx.Module]

    def __call__(self, rngs: nnx.Rngs) -> nnx.Module:
        """The model before it is fitted."""
        return self.build(rngs)


# What was compiled in this process, by the program's text: models that differ in activation or
# pooling alone draw the same initial values.
_compiled: dict[str, jax.stages.Compiled] = {}


class Initialization:
    """The initial states of runs: run i is `builders[assigned[i]]`'s model from `seeds[i]`.

    A seed gives every builder one key. Builders that are `Fitted` see the first examples of `data`.
    Making this traces and compiles and runs nothing, so it may be done in any thread.
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

        def initial(build: Builder, few: Data | None, seed: jax.Array) -> RunState:
            structure, state = first_state(build, recipe, seed, few)
            structures.append(structure)
            return state

        shares = [[i for i, a in enumerate(assigned) if a == b] for b in range(len(builders))]
        order = np.argsort(np.concatenate(shares), kind="stable")

        def stacked(seeds: Sequence[jax.Array], few: Data | None) -> RunState:
            drawn = [
                _over(partial(initial, build, few), own)
                for build, own in zip(builders, seeds, strict=True)
            ]
            together: RunState = jax.tree.map(
                lambda *leaves: jnp.concatenate(leaves)[order], *drawn
            )
            return together

        self.seeds = [np.array([seeds[i] for i in share], np.uint32) for share in shares]
        self._few = first_examples(builders, data)
        self._program = _compile(stacked, self.seeds, self._few)
        self.structure = structures[0]

    def shapes(self) -> RunState:
        """Shapes and dtypes of the stacked states."""
        shapes: RunState = self._program.out_info
        return shapes

    def states(self) -> RunState:
        """Draw the initial values, stacked in the order of the runs."""
        states: RunState = self._program(self.seeds, self._few)
        return states


def first_examples(builders: Sequence[Builder], data: Data) -> Data | None:
    """The part of `data` that these builders' initial values depend on, if they do on any."""
    if not any(isinstance(build, Fitted) for build in builders):
        return None
    return Data(data.inputs[:EXAMPLES], *[None] * 5, mean=data.mean, std=data.std)


def first_model(build: Builder, seed: jax.Array | int, few: Data | None) -> nnx.Module:
    """A run's model before the first step; `few` is from `first_examples`.

    >>> from jcnn import data, diagnosis, engine, models
    >>> def build(rngs):
    ...     return models.mlp((8, 8, 1), 10, hidden=(8,), rngs=rngs)
    >>> fitted = Fitted(build, diagnosis.lsuv)
    >>> few = first_examples([fitted], engine.prepare(data.load("digits"), 0.2))
    >>> x = normalize(jnp.asarray(few.inputs), few)
    >>> len(x), round(float(first_model(fitted, 0, few)(x).std()), 3)
    (128, 1.0)
    """
    model = build(nnx.Rngs(jax.random.key(seed)))
    if isinstance(build, Fitted) and few is not None:
        return build.fit(model, normalize(jnp.asarray(few.inputs), few))
    return model


def first_state(
    build: Builder, recipe: Recipe, seed: jax.Array, few: Data | None
) -> tuple[Structure, RunState]:
    """A run's model and state before the first step; `few` is from `first_examples`."""
    structure, params, rest = split_model(first_model(build, seed, few))
    return structure, start(recipe, params, rest, seed)


def _over(initial: Callable[[jax.Array], RunState], seeds: jax.Array) -> RunState:
    # Batched QR decompositions (orthogonal initializers) that run at the same time wait for each
    # other for ever on CPU in jaxlib 0.10: each blocks a thread of the pool and waits for others.
    one_by_one = jax.default_backend() == "cpu"
    states: RunState = jax.lax.map(initial, seeds) if one_by_one else jax.vmap(initial)(seeds)
    return states


def _compile(
    stacked: Callable[[Sequence[jax.Array], Data | None], RunState],
    seeds: Sequence[np.ndarray],
    few: Data | None,
) -> jax.stages.Compiled:
    # A program that runs once is not worth XLA's full effort: on CPU a LeNet's initial values took
    # 3.7 s to compile, and 0.9 s so; the values drawn are the same but for rounding.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    lowered = jax.jit(stacked, compiler_options=options).lower(seeds, few)
    text = lowered.as_text()
    if text not in _compiled:
        _compiled[text] = lowered.compile()
    return _compiled[text]
