"""What is measured of a run on its way, inside the compiled loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

State = TypeVar("State")


@dataclass(frozen=True)
class Watch:
    """Numbers of each of `layers`, taken at every `every`-th step of an epoch, from its first.

    `measure(structure, state, optimizer, inputs, targets)`, all of the step that follows, gives
    them as float32 `(len(layers), len(columns))`. There are `steps` steps in an epoch. `facts` are
    what else is known of the layers, for whoever reads the numbers.
    """

    every: int
    steps: int
    layers: Sequence[str]
    columns: Sequence[str]
    measure: Callable[..., Array]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def nothing(self) -> Array:
        """What an epoch's numbers are kept in, before any is known."""
        rows = -(-self.steps // self.every)
        return jnp.full((rows, len(self.layers), len(self.columns)), jnp.nan, jnp.float32)

    def put(self, kept: Array, step: Array, numbers: Array) -> Array:
        """The numbers of a step, among the others of its epoch."""
        return jax.lax.dynamic_update_index_in_dim(kept, numbers, step // self.every, 0)


def watched(
    watch: Watch,
    see: Callable[[Watch, Array, State], State],
    train: Callable[[Array, Array, State], State],
    first: Array,
    stop: Array,
    state: State,
) -> State:
    """Train on the steps from `first` to `stop`, and see the state before those that are watched.

    Which they are follows from numbers that all runs share, so that under `vmap` the others skip
    it too.
    """

    def part(at: tuple[Array, State]) -> tuple[Array, State]:
        i, state = at
        until = jnp.minimum((i // watch.every + 1) * watch.every, stop)
        state = jax.lax.cond(
            i % watch.every == 0, lambda state: see(watch, i, state), lambda state: state, state
        )
        return until, train(i, until, state)

    trained: State = jax.lax.while_loop(lambda at: at[0] < stop, part, (first, state))[1]
    return trained
