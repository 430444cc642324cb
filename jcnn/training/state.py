"""The arrays of one training run: data, state, hyperparameters and history."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

NEVER = -1


class Data(NamedTuple):
    """Examples as arrays, on host or device, with the mean and standard deviation per channel.

    Inputs are raw. Held-out examples come in batches `(batches, size, ...)`, padding with weight 0;
    the first `validation_batches` (an int32 scalar) are validation, the rest test.
    """

    inputs: Any
    targets: Any
    held_inputs: Any
    held_targets: Any
    held_weights: Any
    validation_batches: Any
    mean: Any
    std: Any


def normalize(inputs: Array, data: Data) -> Array:
    """Return raw inputs (uint8 or float32) with zero mean and unit variance per channel, float32.

    >>> data = Data(*[None] * 6, mean=jnp.array([4.0]), std=jnp.array([2.0]))
    >>> normalize(jnp.array([[2], [6]], jnp.uint8), data)[:, 0].tolist()
    [-1.0, 1.0]
    """
    shape = (1,) * (inputs.ndim - 1) + (-1,)
    return (inputs.astype(jnp.float32) - data.mean.reshape(shape)) / data.std.reshape(shape)


class RunState(NamedTuple):
    """Everything that changes while a run trains, and the seed for its augmentation.

    `sums` are the sums of the epoch's training metrics; `held_sums` has a row each for validation
    and test, the last column being the weight. `watched` are the epoch's numbers of a `Watch`,
    `average` is the moving average of the weights, and `kept` are those of the best epoch, if the
    recipe has them.
    """

    params: Any
    rest: Any
    optimizer: Any
    step: Array
    diverged_at: Array
    sums: Array
    held_sums: Array
    seed: Array
    watched: Any = ()
    average: Any = ()
    kept: Any = ()


class Hyperparameters(NamedTuple):
    """The traced numbers of a run: a new value costs no compilation."""

    learning_rate: Any
    momentum: Any
    weight_decay: Any


class History(NamedTuple):
    """Metrics: training means (valid once the epoch has ended) and held-out means so far."""

    train: dict[str, Array]
    validation: dict[str, Array]
    test: dict[str, Array]


@dataclass(frozen=True)
class Structure:
    """A model's static part, in training mode and in evaluation mode."""

    train: Any
    evaluate: Any
