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
from jcnn.diagnosis.diagnosis import Diagnosis, Place, effective_rank, judged
from jcnn.diagnosis.measure import Loss, Measured, measure, probe_of
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
    """What happens in each layer of `model` on the batch `x` with `labels`, and what is wrong.

    The model is any `nnx.Module` that maps the batch to one array; it is used in the mode that it
    is in, and neither changed nor asked for anything. `loss(outputs, labels)` gives a mean or one
    value an example; without it, whole-number labels mean softmax cross-entropy, others the mean
    squared error. `optimizer` (by default SGD at rate 0.1) is what updates are judged by. With
    `singular_values`, those of each layer's Jacobian and of the whole model's.

    Raises ValueError for a model without weighted layers, or arrays that do not fit.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(64, 64), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> found = diagnose(model, x, jnp.arange(128) % 10)
    >>> found.verdict, [layer.name for layer in found.layers]
    ('healthy', ['dense_hidden1', 'dense_hidden2', 'output'])
    """
    found = Examination(model, x, labels, loss, optimizer=optimizer)(model)
    return with_singular_values(found, model, jnp.asarray(x)) if singular_values else found


def with_singular_values(found: Diagnosis, model: nnx.Module, x: Array) -> Diagnosis:
    """A diagnosis with those of each layer's Jacobian and of the model's, at the first example."""
    jacobians = layer_singular_values(model, x)
    return replace(
        found,
        layers=[
            replace(layer, singular_values=own)
            for layer, own in zip(found.layers, jacobians, strict=True)
        ],
        singular_values=model_singular_values(model, x),
    )


class Examination:
    """`diagnose` for many models of one structure: traced and compiled once.

    Called with a model, it gives its `Diagnosis` on the batch. The arguments are those of
    `diagnose`.

    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 2
    >>> one, other = (models.mlp((16,), 2, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> examine = Examination(one, x, labels)
    >>> [examine(model).verdict for model in (one, other)]
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
        self._places = [_place(traced, block) for block in traced.layers]
        probe, judge = probe_of(traced), loss or default_loss(self.labels)
        optimizer = optimizer or optax.sgd(0.1)

        def change(gradients: dict[int, Array], leaves: Sequence[Any]) -> list[Array]:
            params = {index: leaves[index] for index in gradients}
            updates, _ = optimizer.update(gradients, optimizer.init(params), params)
            return [updates[index] for index in gradients]

        @jax.jit
        def run(leaves: Sequence[Any], x: Array, labels: Array) -> tuple[Measured, list[Array]]:
            measured, values = measure(
                probe, leaves, x, labels, judge, lambda gradients: change(gradients, leaves)
            )
            return measured, [values[block.weighted] for block in traced.layers]

        self._run = run

    def __call__(self, model: nnx.Module) -> Diagnosis:
        """Diagnose a model of the same structure."""
        leaves = jax.tree.leaves(nnx.state(model))
        measured, sums = self._run(leaves, self.x, self.labels)
        ranks = [effective_rank(np.asarray(one, np.float32)) for one in sums]
        columns = {
            name: np.asarray(array, np.float64) for name, array in measured._asdict().items()
        }
        return judged(self._places, columns, ranks, self.traced.unseen)


def default_loss(labels: Array) -> Loss:
    """Softmax cross-entropy for whole numbers, the mean squared error for others."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return losses.cross_entropy

    def squared(outputs: Array, targets: Array) -> Array:
        return losses.mean_squared_error(outputs, targets.reshape(outputs.shape))

    return squared


def _place(traced: TracedModel, block: TracedLayer) -> Place:
    return Place(
        block.name,
        block.kind,
        block.activation.name() if block.activation else None,
        tuple(traced.program.avals[block.output].shape[1:]),
        traced.program.avals[block.weighted].shape[-1],
        max(math.prod(traced.leaves[index].shape[:-1]) for index in block.kernels),
        set(block.kernels) <= set(block.params),
    )
