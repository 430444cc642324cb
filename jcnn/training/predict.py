"""A trained network's outputs for many inputs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.training.state import Data, normalize


def predict(
    model: nnx.Module, inputs: np.ndarray, data: Data, *, batch_size: int = 256
) -> np.ndarray:
    """Return a model's outputs, float32 `(n, outputs)`, for raw `inputs` normalized by `data`.

    The model is used in its current mode; `jcnn.study.train_one` and `train_seeds` return models in
    evaluation mode.

    >>> from jcnn import data, engine, models
    >>> digits = data.load("digits")
    >>> model = models.mlp((8, 8, 1), 10, hidden=(8,), rngs=nnx.Rngs(0))
    >>> predict(model, digits.test_inputs, engine.prepare(digits, 0.2)).shape
    (359, 10)
    """
    graph, state = nnx.split(model)
    size = min(batch_size, len(inputs))

    @jax.jit
    def forward(state: Any, x: Array) -> Array:
        outputs: Array = nnx.merge(graph, state, copy=True)(normalize(x, data))
        return outputs.astype(jnp.float32)

    parts = []
    for first in range(0, len(inputs), size):
        begin = min(first, len(inputs) - size)  # the last batch overlaps: one program for all
        outputs = np.asarray(forward(state, jnp.asarray(inputs[begin : begin + size])))
        parts.append(outputs[first - begin :])
    return np.concatenate(parts)
