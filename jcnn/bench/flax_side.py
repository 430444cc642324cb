"""The same training in plain Flax and Optax: one `lax.scan` over the batches.

Once as it is, and once with the loss accelerated.
"""

from collections.abc import Callable, Sequence
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


class PlainNet(nnx.Module):
    """3x3 convolutions with ReLU and 2x2 max pooling, dense layers with ReLU, and an output."""

    def __init__(self, weights: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        rngs = nnx.Rngs(0)
        convs, denses = [], []
        for kernel, bias in weights:
            if kernel.ndim == 4:
                layer: Any = nnx.Conv(*kernel.shape[2:], kernel.shape[:2], rngs=rngs)
                convs.append(layer)
            else:
                layer = nnx.Linear(*kernel.shape, rngs=rngs)
                denses.append(layer)
            layer.kernel[...], layer.bias[...] = jnp.asarray(kernel), jnp.asarray(bias)
        self.convs, self.denses = nnx.List(convs), nnx.List(denses)

    def __call__(self, x: Array) -> Array:
        """Return logits."""
        for conv in self.convs:
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        *hidden, output = self.denses
        for dense in hidden:
            x = nnx.relu(dense(x))
        return output(x)


class FlaxTraining:
    """Training of one model over the batches with one compiled scan.

    `wrap` is applied to the loss, as a user would apply `jcnn.accelerate`.
    """

    def __init__(
        self,
        weights: Sequence[tuple[np.ndarray, np.ndarray]],
        inputs: np.ndarray,
        targets: np.ndarray,
        batches: np.ndarray,
        learning_rate: float,
        wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda loss: loss,
    ) -> None:
        optimizer = optax.adam(learning_rate)
        graph, params = nnx.split(PlainNet(weights), nnx.Param)
        self._data = tuple(map(jnp.asarray, (inputs, targets, batches)))
        self._start = (params, optimizer.init(params))

        def step(inputs: Array, targets: Array, state: Any, rows: Array) -> Any:
            params, optimizer_state = state

            def loss_of(params: Any) -> Array:
                logits = nnx.merge(graph, params)(inputs[rows])
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets[rows])
                return losses.mean()

            loss, gradients = jax.value_and_grad(wrap(loss_of))(params)
            updates, optimizer_state = optimizer.update(gradients, optimizer_state)
            return (optax.apply_updates(params, updates), optimizer_state), loss

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
