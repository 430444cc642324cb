"""The batch of a training step: chosen, augmented, normalized and mixed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jcnn.data.augmentation import Mixing, partners
from jcnn.training.state import Data, RunState, normalize

# `(key, inputs) -> inputs` of the same shape and dtype; see `jcnn.data.augmentation`.
Augmentation = Callable[[Array, Array], Array]


def next_batch(
    augmentation: Augmentation | None, state: RunState, data: Data, indices: Array
) -> tuple[Array, Array]:
    """Return the next step's inputs, augmented but not mixed, and normalized, and its targets."""
    inputs = jnp.take(data.inputs, indices, axis=0)
    before = augmentation.before if isinstance(augmentation, Mixing) else augmentation
    if before is not None:
        inputs = before(_key(state), inputs)
    return normalize(inputs, data), jnp.take(data.targets, indices, axis=0)


def mixed(
    augmentation: Augmentation | None, state: RunState, inputs: Array, targets: Array
) -> tuple[Array, list[tuple[Any, Array]]]:
    """Return the inputs, mixed if the augmentation mixes, and targets with their shares."""
    if not isinstance(augmentation, Mixing):
        return inputs, [(1.0, targets)]
    inputs, share = augmentation.mix(jax.random.fold_in(_key(state), 1), inputs)
    return inputs, [(share, targets), (1.0 - share, partners(targets))]


def _key(state: RunState) -> Array:
    """The key of a step: of seed and step alone, so it is the same in every combination."""
    return jax.random.fold_in(jax.random.key(state.seed), state.step)
