"""`mean_field` for a chain of layers, each compiled separately; see `jcnn.diagnosis.layerwise`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.diagnosis.examination import default_loss
from jcnn.diagnosis.layerwise import apply, compiled_norm, split_chain
from jcnn.diagnosis.mean_field import DRAWS, MeanFieldPrediction
from jcnn.diagnosis.measure import Loss, mean_and_std, norm


def mean_field_layerwise(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Loss | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> MeanFieldPrediction:
    """Return `jcnn.diagnosis.mean_field` of a chain of layers, compiled layer by layer.

    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(512, 512), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> prediction = mean_field_layerwise(model, x, jnp.arange(128) % 10)
    >>> [round(std, 1) for std in prediction.std[:2]]  # he_normal, relu: sqrt(1 - 1/pi) = 0.83
    [0.8, 0.8]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    chain, weighted = split_chain(model)
    # NumPy draws the weights: JAX would compile a program for each shape of kernel.
    generator = np.random.default_rng(seed)
    inputs, outputs = [], jnp.broadcast_to(x, (draws, *x.shape))
    for layer in chain:
        inputs.append(outputs)
        params = _draw_params(layer.params, draws, generator)
        outputs = _forward_draws(layer.graph, params, layer.rest, outputs)
    values = [*inputs[1:], outputs]
    cotangent = _loss_gradients(loss or default_loss(labels), outputs, labels)
    gradients = [cotangent] * len(chain)
    for i in range(len(chain) - 1, -1, -1):
        layer, gradients[i] = chain[i], cotangent
        params = _draw_params(layer.params, draws, generator)
        cotangent = _backward_draws(layer.graph, params, layer.rest, inputs[i], cotangent)
    stds = [_std_over_draws(values[layer.output]) for layer in weighted]
    norms = [compiled_norm([gradients[layer.output]]) for layer in weighted]
    scale = (len(x) / draws) ** 0.5
    return MeanFieldPrediction(
        std=[float(std) for std in jax.device_get(stds)],
        gradient=[scale * float(value) for value in jax.device_get(norms)],
    )


@partial(jax.jit, static_argnums=0)
def _loss_gradients(loss: Loss, outputs: Array, labels: Array) -> Array:
    return jax.vmap(jax.grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32))))(outputs)


@jax.jit
def _std_over_draws(x: Array) -> Array:
    """Return the root of the mean variance over draws."""
    deviations = jax.vmap(lambda values: mean_and_std(values)[1])(x)
    return norm([deviations]) / jnp.float32(len(deviations) ** 0.5)


def _draw_params(params: Any, draws: int, generator: np.random.Generator) -> Any:
    """Return parameters with draws as their first axis.

    Kernels are normal with the mean square of the present ones; other parameters are repeated.
    """

    def draw(leaf: Array) -> np.ndarray:
        value, shape = np.asarray(leaf, np.float32), (draws, *leaf.shape)
        if leaf.ndim < 2:
            return np.broadcast_to(value, shape)
        scale = np.sqrt(np.mean(np.square(value)))
        return (scale * generator.standard_normal(shape, np.float32)).astype(leaf.dtype)

    return jax.tree.map(draw, params)


@partial(jax.jit, static_argnums=0)
def _forward_draws(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    """Apply a layer with each draw's weights; draws are the first axis of `params` and `x`."""
    return jax.vmap(lambda params, x: apply(graph, params, rest, x))(params, x)


@partial(jax.jit, static_argnums=0)
def _backward_draws(graph: Any, params: Any, rest: Any, x: Array, cotangent: Array) -> Array:
    """Return the gradients at a layer's input, by weights independent of the forward pass's."""

    def backward(params: Any, x: Array, cotangent: Array) -> Array:
        _, pullback = jax.vjp(lambda x: apply(graph, params, rest, x), x)
        at_input: Array = pullback(cotangent)[0]
        return at_input

    return jax.vmap(backward)(params, x, cotangent)
