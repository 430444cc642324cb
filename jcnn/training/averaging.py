"""The weights that are evaluated: those that are trained, or an average of them."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from jcnn.errors import UsageError


def update_average(average: Any, params: Any, step: Array, decay: float) -> Any:
    """Return the exponential moving average of the weights after step number `step` (from 0).

    ``average += (1 - d) (params - average)`` with ``d = min(decay, (1 + step) / (10 + step))``, so
    that the first steps do not weigh on the average of a short training.

    >>> round(float(update_average(jnp.zeros(()), jnp.ones(()), jnp.int32(0), 0.99)), 3)
    0.9
    """
    done = step.astype(jnp.float32)
    kept = jnp.minimum(jnp.float32(decay), (1 + done) / (10 + done))
    averaged: Any = optax.incremental_update(params, average, 1.0 - kept)
    return averaged


def evaluated_params(params: Any, average: Any, optimizer_state: Any) -> Any:
    """Return the weights to evaluate.

    `average` if there is one, not `()`; the average that a schedule-free optimizer of Optax keeps
    (Defazio et al. 2024), if its state is in `optimizer_state`; or else `params`.

    >>> evaluated_params({"w": 1.0}, (), optax.sgd(0.1).init({"w": 1.0}))
    {'w': 1.0}
    """
    if average != ():
        return average
    found = [part for part in _parts(optimizer_state) if _is_schedule_free(part)]
    if not found:
        return params
    from optax import contrib  # takes a tenth of a second to import

    structures: list[Any] = [jax.tree.structure(tree) for tree in (found[0].z, params)]
    if len(found) > 1 or structures[0] != structures[1]:
        raise UsageError(
            "a schedule-free optimizer averages all weights, so it cannot be a part of "
            "multi_transform or masked"
        )
    averaged = contrib.schedule_free_eval_params(found[0], params)
    return jax.tree.map(lambda new, old: new.astype(old.dtype), averaged, params)


def _parts(state: Any) -> list[Any]:
    return jax.tree.leaves(state, is_leaf=_is_schedule_free)


def _is_schedule_free(part: Any) -> bool:
    return type(part).__name__ == "ScheduleFreeState"
