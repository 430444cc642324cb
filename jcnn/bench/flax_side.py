"""The same training in plain Flax and Optax: one `lax.scan` over the batches.

Once as it is, and once with the loss accelerated.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jcnn.bench.clock import timed

# A step of the larger network takes seconds.
SAMPLE_STEPS = 2


class FlaxTraining:
    """Training of one model over the batches with one compiled scan.

    `wrap` is applied to the loss, as a user would apply `jcnn.accelerate`.
    """

    def __init__(
        self,
        model: nnx.Module,
        inputs: np.ndarray,
        targets: np.ndarray,
        batches: np.ndarray,
        learning_rate: float,
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda loss: loss,
    ) -> None:
        optimizer = optax.adam(learning_rate)
        graph, params, statistics = nnx.split(model, nnx.Param, ...)
        self._data = tuple(map(jnp.asarray, (inputs, targets, batches)))
        self._start = (params, statistics, optimizer.init(params))

        def step(inputs: Array, targets: Array, state: Any, rows: Array) -> Any:
            params, statistics, optimizer_state = state

            def loss_of(params: Any) -> Any:
                model = nnx.merge(graph, params, statistics, copy=True)
                logits = model(inputs[rows])
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets[rows])
                return losses.mean(), nnx.state(model, nnx.Not(nnx.Param))

            gradient = jax.value_and_grad(wrap(loss_of), has_aux=True)
            (loss, statistics), gradients = gradient(params)
            updates, optimizer_state = optimizer.update(gradients, optimizer_state)
            return (optax.apply_updates(params, updates), statistics, optimizer_state), loss

        def epoch(state: Any, inputs: Array, targets: Array, batches: Array) -> Any:
            return jax.lax.scan(partial(step, inputs, targets), state, batches)

        self._epoch = jax.jit(epoch)

    def losses(self) -> np.ndarray:
        """Return the loss of each step, starting from the initial weights."""
        return np.asarray(self._epoch(self._start, *self._data)[1])

    def sample(self, steps: int | None = SAMPLE_STEPS) -> float:
        """Return the seconds per step, over some of the batches (None: all)."""
        *data, batches = self._data
        sampled = batches[:steps]
        return timed(self._epoch, self._start, *data, sampled) / len(sampled)
