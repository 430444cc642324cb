"""`jcnn.diagnose`: what happens in each layer of a network on one batch, and what is wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jcnn import losses
from jcnn.diagnosis.batch_checks import check_batch, check_labels
from jcnn.diagnosis.dead_units import usual_saturation
from jcnn.diagnosis.diagnosis import Diagnosis, diagnose_figures
from jcnn.diagnosis.effective_rank import effective_rank, input_rank
from jcnn.diagnosis.layer_report import LayerInfo
from jcnn.diagnosis.measure import LayerFigures, Loss, Probe, make_probe, measure
from jcnn.diagnosis.optimizer_changes import OptimizerChanges
from jcnn.diagnosis.singular import layer_singular_values, model_singular_values
from jcnn.diagnosis.verdicts import COLLAPSED_RANK
from jcnn.tracing import gradient_paths, layer_graph, trace

# Gradients that are exactly 0 are measured again after up to this many steps of gradient descent.
_STEPS, _STEP = 6, 0.1


def diagnose(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Callable[..., Array] | None = None,
    *,
    optimizer: optax.GradientTransformation | nnx.Optimizer[Any] | None = None,
    optimizer_state: Any = None,
    singular_values: bool = False,
) -> Diagnosis:
    """Return what happens in each layer of `model` on the batch `x`, `labels`, and what is wrong.

    The model is any `nnx.Module`. It is used in its current mode (training or evaluation) and is
    not changed. `x` is an array of examples; a tuple of arrays is passed as several arguments.
    `loss(outputs, labels)` returns a mean or one value per example; by default, integer labels mean
    softmax cross-entropy, others the mean squared error. A model that returns several arrays needs
    a `loss` that takes them. Updates are those of `optimizer` (by default SGD with learning rate
    0.1): an Optax transformation, at its first step unless `optimizer_state` is given, or the
    `nnx.Optimizer` of a running training. If `singular_values` is true, those of each layer's
    Jacobian and of the whole model's are added.

    Raises ValueError for a model without weighted layers, for arrays that do not fit, for values of
    `x` that are not finite, and for labels that are no index of an output.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(64, 64), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> diagnosis = diagnose(model, x, jnp.arange(128) % 10)
    >>> diagnosis.verdict, [layer.name for layer in diagnosis.layers]
    ('healthy', ['dense_hidden1', 'dense_hidden2', 'output'])
    """
    examine = Examination(
        model, x, labels, loss, optimizer=optimizer, optimizer_state=optimizer_state
    )
    diagnosis = examine(model)
    return with_singular_values(diagnosis, model, examine.x) if singular_values else diagnosis


def with_singular_values(diagnosis: Diagnosis, model: nnx.Module, x: Any) -> Diagnosis:
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
        optimizer: optax.GradientTransformation | nnx.Optimizer[Any] | None = None,
        optimizer_state: Any = None,
    ) -> None:
        if not isinstance(model, nnx.Module):
            raise ValueError(f"model is a {type(model).__name__}; expected an nnx.Module")
        self.x, self.labels = jax.tree.map(jnp.asarray, (x, labels))
        check_batch(self.x, self.labels)
        self.traced = traced = trace(model, self.x)
        if loss is None:
            traced.require_single_output()
            check_labels(self.labels, traced.output_shapes)
        probe, batch_loss = make_probe(traced), loss or default_loss(self.labels)
        self._layers = layer_infos(probe)
        self._normalizations = normalizations_of(model)
        self._counters = random_counters(model)
        changes = OptimizerChanges(model, optimizer or optax.sgd(0.1), optimizer_state)

        @jax.jit
        def run(leaves: Sequence[Any], x: Any, labels: Any) -> _Examined:
            measured = measure(
                probe, leaves, x, labels, batch_loss, lambda gradients: changes(gradients, leaves)
            )
            return _Examined(
                loss=measured.loss,
                figures=measured.figures,
                sums=[measured.values[layer.weighted] for layer in traced.layers],
                inputs=[measured.values[layer.input] for layer in traced.layers],
                leaves=_after_a_step(leaves, measured.gradients),
            )

        self._run = run

    def __call__(self, model: nnx.Module) -> Diagnosis:
        """Diagnose a model of the same structure."""
        leaves = jax.tree.leaves(nnx.state(model))
        examined = self._run(leaves, self.x, self.labels)
        figures = examined.figures.to_host()
        ranks = [effective_rank(np.asarray(values, np.float32)) for values in examined.sums]
        off, later = self._start(examined, figures, ranks)
        return diagnose_figures(
            self._layers,
            figures,
            effective_ranks=ranks,
            later_ranks=later,
            input_ranks=[
                input_rank(values, layer.fan_in) if rank <= COLLAPSED_RANK else math.nan
                for values, layer, rank in zip(examined.inputs, self._layers, ranks, strict=True)
            ],
            off_at_start=off,
            loss=float(examined.loss),
            unseen=self.traced.unseen,
            unused=self.traced.unused,
            normalizations=self._normalizations,
        )

    def _start(
        self, examined: "_Examined", figures: LayerFigures, ranks: Sequence[float]
    ) -> tuple[list[bool], list[float]]:
        """Return which layers are only off at the start, and later ranks of constant outputs.

        Gradients that are exactly 0 are measured again after steps of gradient descent, with other
        random numbers.
        """

        def zeros(figures: LayerFigures) -> np.ndarray:
            return (figures.gradient == 0) | (figures.parameter_gradient == 0)

        # Where no gradient is expected, there is nothing to wait for.
        expected = np.array([not layer.cut_off for layer in self._layers], bool)
        silent = zeros(figures) & expected
        with np.errstate(invalid="ignore"):  # sums that are infinite are not constant
            constant = [not np.ptp(np.asarray(v, np.float32), axis=0).any() for v in examined.sums]
        waiting = silent.copy()
        later = [math.nan] * len(ranks)
        leaves = examined.leaves
        for step in range(1, _STEPS + 1):
            if not waiting.any() or not np.isfinite(figures.std).all():
                break
            for index in self._counters:
                leaves[index] = leaves[index] + jnp.asarray(step, leaves[index].dtype)
            again = self._run(leaves, self.x, self.labels)
            leaves = again.leaves
            waiting &= zeros(again.figures.to_host())
            for i, sums in enumerate(again.sums):
                if constant[i] and math.isnan(later[i]) and (values := np.asarray(sums)).std() > 0:
                    later[i] = effective_rank(values.astype(np.float32))
        return (silent & ~waiting).tolist(), later


class _Examined(NamedTuple):
    """What one run of the program returns: figures, layers' values, and leaves after a step."""

    loss: Array
    figures: LayerFigures
    sums: list[Array]
    inputs: list[Array]
    leaves: list[Any]


def _after_a_step(leaves: Sequence[Any], gradients: Mapping[int, Array]) -> list[Any]:
    """Return the leaves after a step of plain gradient descent."""
    return [
        leaf - (_STEP * gradients[index]).astype(leaf.dtype) if index in gradients else leaf
        for index, leaf in enumerate(leaves)
    ]


def default_loss(labels: Array) -> Loss:
    """Return softmax cross-entropy for integer labels, the mean squared error for others."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return losses.cross_entropy

    def squared(outputs: Array, targets: Array) -> Array:
        return losses.mean_squared_error(outputs, targets.reshape(outputs.shape))

    return squared


def normalizations_of(model: nnx.Module) -> list[str]:
    """Return the kinds of normalization in a model, such as "batch"."""
    kinds = {
        nnx.BatchNorm: "batch",
        nnx.LayerNorm: "layer",
        nnx.GroupNorm: "group",
        nnx.InstanceNorm: "instance",
        nnx.RMSNorm: "rms",
    }
    return sorted(
        {name for _, node in nnx.iter_graph(model) for kind, name in kinds.items()
         if isinstance(node, kind)}
    )  # fmt: skip


def random_counters(model: nnx.Module) -> list[int]:
    """Return the indices of the leaves that count a model's random draws."""
    variables = jax.tree.leaves(
        nnx.state(model), is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
    )
    return [i for i, variable in enumerate(variables) if isinstance(variable, nnx.RngCount)]


def layer_infos(probe: Probe) -> list[LayerInfo]:
    """Return what is known of a traced model's layers before any batch."""
    traced = probe.traced
    graph, gradients = layer_graph(traced), gradient_paths(traced)
    infos = []
    for i, (layer, facts) in enumerate(zip(traced.layers, probe.facts, strict=True)):
        activation = layer.activation
        cut_off = "" if layer.output in gradients.reach else "cut off"
        if layer.output not in gradients.used:
            cut_off = "unused"
        elif cut_off and layer.output not in gradients.cut_off:
            cut_off = ""  # no derivative: a fault
        infos.append(
            LayerInfo(
                name=layer.name,
                kind=layer.kind,
                activation=activation.name() if activation else None,
                shape=tuple(traced.program.avals[layer.output].shape[1:]),
                units=traced.program.avals[layer.weighted].shape[-1],
                fan_in=max(
                    math.prod(traced.leaves[index].shape[len(layer.part) : -1])
                    for index in layer.kernels
                ),
                trained=set(layer.kernels) <= set(layer.params),
                reads=tuple(graph.reads[i]),
                is_end=graph.ends[i],
                cut_off=cut_off,
                usually_saturated=usual_saturation(activation, facts) if activation else 0.0,
            )
        )
    return infos
