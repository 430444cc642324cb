"""Early stopping: a run keeps the weights of its best epoch, and ends when none better comes."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.training.averaging import evaluated_params


class Kept(NamedTuple):
    """The weights of a run's best epoch, and two flags.

    A run that has `stopped` trains no more. Once `used`, the run is evaluated with these weights.
    """

    params: Any
    rest: Any
    stopped: Array
    used: Array


def first_kept(params: Any, rest: Any) -> Kept:
    """Return the weights before the first epoch.

    >>> bool(first_kept({"w": jnp.zeros(3)}, {}).stopped)
    False
    """
    return Kept(params, rest, jnp.zeros((), bool), jnp.zeros((), bool))


def has_stopped(kept: Any) -> Array:
    """Return whether the run has stopped; False if it keeps no weights, `()`.

    >>> bool(has_stopped(()))
    False
    """
    return jnp.zeros((), bool) if kept == () else kept.stopped


def chosen_weights(kept: Any, params: Any, rest: Any) -> tuple[Any, Any]:
    """Return the weights to evaluate: those kept if they are `used`, or else those given.

    >>> chosen_weights((), 1, 2)
    (1, 2)
    """
    if kept == ():
        return params, rest
    chosen: tuple[Any, Any] = jax.tree.map(
        functools.partial(jnp.where, kept.used), (kept.params, kept.rest), (params, rest)
    )
    return chosen


def keep_best(states: Any, improved: Array, stopped: Array) -> Any:
    """Return the states of many runs, with the present weights kept where a run has improved.

    `improved` and `stopped` have a value per run.
    """

    def one(state: Any, improved: Array, stopped: Array) -> Any:
        params = evaluated_params(state.params, state.average, state.optimizer)
        params, rest = jax.tree.map(
            functools.partial(jnp.where, improved),
            (params, state.rest),
            (state.kept.params, state.kept.rest),
        )
        return state._replace(kept=Kept(params, rest, stopped, state.kept.used))

    return jax.vmap(one)(states, improved, stopped)


def use_kept(states: Any) -> Any:
    """Return the states of many runs, to be evaluated anew with the weights that they kept."""
    kept = states.kept._replace(used=jnp.ones_like(states.kept.used))
    return states._replace(kept=kept, held_sums=jnp.zeros_like(states.held_sums))


def best_epoch(curve: Sequence[float], higher_is_better: bool) -> int | None:
    """Return the first epoch with the best value, from 0; None if every value is NaN.

    >>> best_epoch([0.5, 0.7, 0.6, 0.7], True), best_epoch([float("nan")], True)
    (1, None)
    """
    values = np.asarray(curve, float)
    if np.isnan(values).all():
        return None
    return int(np.nanargmax(values if higher_is_better else -values))
