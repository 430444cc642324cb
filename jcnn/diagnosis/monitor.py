"""The layers monitored during training: measured inside the compiled step, judged afterwards."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from jcnn.diagnosis.before_a_batch import layer_infos
from jcnn.diagnosis.history import FIGURES, known_facts
from jcnn.diagnosis.measure import LayerFigures, Loss, make_probe, measure
from jcnn.diagnosis.optimizer_changes import changes_by_leaf, param_indices
from jcnn.tracing import trace
from jcnn.training import RunState, Watch
from jcnn.training.run import Structure


def make_watch(
    model: nnx.Module, x: jax.ShapeDtypeStruct, loss: Loss, *, every: int, steps: int
) -> Watch:
    """Return a watch on every layer of a model that trains on batches like `x`.

    The model may hold shapes instead of arrays. An epoch has `steps` steps. Raises ValueError for a
    model without weighted layers.
    """
    model.train()
    traced = trace(model, x)
    probe = make_probe(traced)
    indices = param_indices(model)

    def measure_step(
        structure: Structure,
        state: RunState,
        optimizer: optax.GradientTransformation,
        inputs: Array,
        targets: Array,
    ) -> Array:
        def updates(gradients: dict[int, Array]) -> Sequence[Array]:
            return changes_by_leaf(optimizer, state.optimizer, state.params, indices, gradients)

        merged = nnx.state(nnx.merge(structure.train, state.params, state.rest, copy=True))
        leaves = jax.tree.leaves(merged)
        return _columns(measure(probe, leaves, inputs, targets, loss, updates).figures)

    infos = layer_infos(probe)
    return Watch(
        every,
        steps,
        [info.name for info in infos],
        FIGURES,
        measure_step,
        known_facts(infos),
    )


def _columns(figures: LayerFigures) -> Array:
    """Return the figures of a history, `(layers, figures)`."""
    ratio = jnp.where(figures.weight > 0, figures.update / figures.weight, 0)
    columns = vars(figures) | {"update_ratio": ratio}
    return jnp.stack([columns[name] for name in FIGURES], axis=1)
