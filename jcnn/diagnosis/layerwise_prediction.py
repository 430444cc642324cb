"""What `predict` gives, for layers in a row, each of them compiled by itself; see `layerwise`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.diagnosis.examination import default_loss
from jcnn.diagnosis.layerwise import apply, chain, norm
from jcnn.diagnosis.measure import Loss, length, moments
from jcnn.diagnosis.prediction import DRAWS, Prediction


def predict_layerwise(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Loss | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Prediction:
    """`jcnn.diagnosis.predict` for a chain of layers, compiled layer by layer.

    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(512, 512), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> found = predict_layerwise(model, x, jnp.arange(128) % 10)
    >>> [round(std, 1) for std in found.std[:2]]  # henormal, relu: sqrt(1 - 1/pi) = 0.83
    [0.8, 0.8]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    parts, blocks = chain(model)
    # numpy draws them: compiling a program that draws takes seconds for each shape of kernel.
    generator = np.random.default_rng(seed)
    inputs, outputs = [], jnp.broadcast_to(x, (draws, *x.shape))
    for part in parts:
        inputs.append(outputs)
        drawn = _redrawn(part.params, draws, generator)
        outputs = _drawn_up(part.graph, drawn, part.rest, outputs)
    values = [*inputs[1:], outputs]
    passed = _lost_drawn(loss or default_loss(labels), outputs, labels)
    gradients = [passed] * len(parts)
    for i in range(len(parts) - 1, -1, -1):
        part, gradients[i] = parts[i], passed
        drawn = _redrawn(part.params, draws, generator)
        passed = _drawn_down(part.graph, drawn, part.rest, inputs[i], passed)
    stds = [_std_drawn(values[block.output]) for block in blocks]
    norms = [norm([gradients[block.output]]) for block in blocks]
    share = (len(x) / draws) ** 0.5
    return Prediction(
        [float(one) for one in jax.device_get(stds)],
        [share * float(one) for one in jax.device_get(norms)],
    )


@partial(jax.jit, static_argnums=0)
def _lost_drawn(loss: Loss, outputs: Array, labels: Array) -> Array:
    return jax.vmap(jax.grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32))))(outputs)


@jax.jit
def _std_drawn(x: Array) -> Array:
    """The root of the mean variance over draws."""
    deviations = jax.vmap(lambda one: moments(one)[1])(x)
    return length([deviations]) / jnp.float32(len(deviations) ** 0.5)


def _redrawn(params: Any, draws: int, generator: np.random.Generator) -> Any:
    """Parameters with draws as their first axis: of kernels, normal ones of the mean square they
    have; others as they are.
    """

    def drawn(leaf: Array) -> np.ndarray:
        value, shape = np.asarray(leaf, np.float32), (draws, *leaf.shape)
        if leaf.ndim < 2:
            return np.broadcast_to(value, shape)
        scale = np.sqrt(np.mean(np.square(value)))
        return (scale * generator.standard_normal(shape, np.float32)).astype(leaf.dtype)

    return jax.tree.map(drawn, params)


@partial(jax.jit, static_argnums=0)
def _drawn_up(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    """A layer of other weights for each draw; parameters and `x` have draws as their first axis."""
    return jax.vmap(lambda params, x: apply(graph, params, rest, x))(params, x)


@partial(jax.jit, static_argnums=0)
def _drawn_down(graph: Any, params: Any, rest: Any, x: Array, passed: Array) -> Array:
    """The gradients at its input, by weights that are independent of those on the way up."""

    def one(params: Any, x: Array, passed: Array) -> Array:
        _, pull = jax.vjp(lambda x: apply(graph, params, rest, x), x)
        below: Array = pull(passed)[0]
        return below

    return jax.vmap(one)(params, x, passed)
