"""Measurements of a run while it trains, inside the compiled loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

State = TypeVar("State")

# What a measurement returns for a number that a layer does not have; others are at least 0. Not
# NaN, which `jax_debug_nans` would report.
UNKNOWN = -1.0


@dataclass(frozen=True)
class Watch:
    """Numbers per layer, measured every `every` steps of an epoch, from its first step.

    `measure(structure, state, optimizer, inputs, targets)` is called before such a step, with that
    step's batch, and returns float32 `(len(layers), len(columns))`, which are at least 0, or
    `UNKNOWN` for a number that a layer does not have. An epoch has `steps` steps.
    `facts` are further properties of the layers, stored with the numbers.
    """

    every: int
    steps: int
    layers: Sequence[str]
    columns: Sequence[str]
    measure: Callable[..., Array]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def empty(self) -> Array:
        """Return the array for an epoch's numbers, filled with zeros.

        Which numbers have been measured follows from the step that the run has reached.
        """
        rows = -(-self.steps // self.every)
        return jnp.zeros((rows, len(self.layers), len(self.columns)), jnp.float32)

    def store(self, epoch: Array, step: Array, numbers: Array) -> Array:
        """Return an epoch's numbers with those of `step` added."""
        return jax.lax.dynamic_update_index_in_dim(epoch, numbers, step // self.every, 0)


def train_and_watch(
    watch: Watch,
    observe: Callable[[Watch, Array, State], State],
    train: Callable[[Array, Array, State], State],
    first: Array,
    stop: Array,
    state: State,
) -> State:
    """Train on the steps from `first` to `stop`, and observe the state before the watched steps.

    All runs share the step numbers, so under `vmap` the condition stays a branch: steps that are
    not watched cost nothing.
    """

    def part(at: tuple[Array, State]) -> tuple[Array, State]:
        i, state = at
        until = jnp.minimum((i // watch.every + 1) * watch.every, stop)
        state = jax.lax.cond(
            i % watch.every == 0, lambda state: observe(watch, i, state), lambda state: state, state
        )
        return until, train(i, until, state)

    trained: State = jax.lax.while_loop(lambda at: at[0] < stop, part, (first, state))[1]
    return trained
