"""`jcnn.diagnose`: what happens in each layer of a network on one batch, and what is wrong."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jcnn import losses
from jcnn.diagnosis.diagnosis import Diagnosis, diagnose_figures
from jcnn.diagnosis.effective_rank import effective_rank
from jcnn.diagnosis.layer_report import LayerInfo
from jcnn.diagnosis.measure import LayerFigures, Loss, make_probe, measure
from jcnn.diagnosis.singular import layer_singular_values, model_singular_values
from jcnn.tracing import TracedLayer, TracedModel, trace


def diagnose(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Callable[..., Array] | None = None,
    *,
    optimizer: optax.GradientTransformation | None = None,
    singular_values: bool = False,
) -> Diagnosis:
    """Return what happens in each layer of `model` on the batch `x`, `labels`, and what is wrong.

    The model is any `nnx.Module` that maps the batch to one array. It is used in its current mode
    (training or evaluation) and is not changed. `loss(outputs, labels)` returns a mean or one value
    per example; by default, integer labels mean softmax cross-entropy, others the mean squared
    error. Updates are those of `optimizer` (by default SGD with learning rate 0.1). If
    `singular_values` is true, those of each layer's Jacobian and of the whole model's are added.

    Raises ValueError for a model without weighted layers, and for arrays that do not fit.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(64, 64), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> diagnosis = diagnose(model, x, jnp.arange(128) % 10)
    >>> diagnosis.verdict, [layer.name for layer in diagnosis.layers]
    ('healthy', ['dense_hidden1', 'dense_hidden2', 'output'])
    """
    diagnosis = Examination(model, x, labels, loss, optimizer=optimizer)(model)
    return with_singular_values(diagnosis, model, jnp.asarray(x)) if singular_values else diagnosis


def with_singular_values(diagnosis: Diagnosis, model: nnx.Module, x: Array) -> Diagnosis:
    """Return a diagnosis with the singular values of each layer and of the model added.

    They are those of the Jacobians at the first example of `x`.
    """
    jacobians = layer_singular_values(model, x)
    return replace(
        diagnosis,
        layers=[
            replace(layer, singular_values=values)
            for layer, values in zip(diagnosis.layers, jacobians, strict=True)
        ],
        singular_values=model_singular_values(model, x),
    )


class Examination:
    """`diagnose` for many models of one structure, traced and compiled once.

    Called with a model, it returns the model's `Diagnosis` on the batch. The arguments are those of
    `diagnose`.

    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 2
    >>> first, second = (models.mlp((16,), 2, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> examine = Examination(first, x, labels)
    >>> [examine(model).verdict for model in (first, second)]
    ['healthy', 'healthy']
    """

    def __init__(
        self,
        model: nnx.Module,
        x: Any,
        labels: Any,
        loss: Callable[..., Array] | None = None,
        *,
        optimizer: optax.GradientTransformation | None = None,
    ) -> None:
        if not isinstance(model, nnx.Module):
            raise ValueError(f"model is a {type(model).__name__}; expected an nnx.Module")
        self.x, self.labels = jnp.asarray(x), jnp.asarray(labels)
        if self.x.ndim < 1 or len(self.x) != len(self.labels) or len(self.x) < 2:
            raise ValueError(
                f"inputs {self.x.shape} and labels {self.labels.shape}; expected one label for "
                "each of at least two examples"
            )
        self.traced = traced = trace(model, self.x)
        self._layers = [_info(traced, layer) for layer in traced.layers]
        probe, batch_loss = make_probe(traced), loss or default_loss(self.labels)
        optimizer = optimizer or optax.sgd(0.1)

        def updates(gradients: dict[int, Array], leaves: Sequence[Any]) -> list[Array]:
            params = {index: leaves[index] for index in gradients}
            changes, _ = optimizer.update(gradients, optimizer.init(params), params)
            return [changes[index] for index in gradients]

        @jax.jit
        def run(
            leaves: Sequence[Any], x: Array, labels: Array
        ) -> tuple[Array, LayerFigures, list[Array]]:
            measured = measure(
                probe, leaves, x, labels, batch_loss, lambda gradients: updates(gradients, leaves)
            )
            sums = [measured.values[layer.weighted] for layer in traced.layers]
            return measured.loss, measured.figures, sums

        self._run = run

    def __call__(self, model: nnx.Module) -> Diagnosis:
        """Diagnose a model of the same structure."""
        leaves = jax.tree.leaves(nnx.state(model))
        loss, figures, sums = self._run(leaves, self.x, self.labels)
        return diagnose_figures(
            self._layers,
            figures.to_host(),
            effective_ranks=[effective_rank(np.asarray(values, np.float32)) for values in sums],
            loss=float(loss),
            unseen=self.traced.unseen,
        )


def default_loss(labels: Array) -> Loss:
    """Return softmax cross-entropy for integer labels, the mean squared error for others."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return losses.cross_entropy

    def squared(outputs: Array, targets: Array) -> Array:
        return losses.mean_squared_error(outputs, targets.reshape(outputs.shape))

    return squared


def _info(traced: TracedModel, layer: TracedLayer) -> LayerInfo:
    return LayerInfo(
        name=layer.name,
        kind=layer.kind,
        activation=layer.activation.name() if layer.activation else None,
        shape=tuple(traced.program.avals[layer.output].shape[1:]),
        units=traced.program.avals[layer.weighted].shape[-1],
        fan_in=max(math.prod(traced.leaves[index].shape[:-1]) for index in layer.kernels),
        trained=set(layer.kernels) <= set(layer.params),
    )
