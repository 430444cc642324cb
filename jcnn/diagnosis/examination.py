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
from jcnn.adapters import adapt, network_and_batch
from jcnn.diagnosis.batch_checks import check_batch, check_labels
from jcnn.diagnosis.before_a_batch import layer_infos, normalizations_of, random_counters
from jcnn.diagnosis.diagnosis import Diagnosis, diagnose_figures
from jcnn.diagnosis.effective_rank import effective_rank, input_rank
from jcnn.diagnosis.measure import (
    LayerFigures,
    Loss,
    Measurement,
    features_last,
    make_probe,
    measure,
)
from jcnn.diagnosis.optimizer_changes import OptimizerChanges, pure_state
from jcnn.diagnosis.singular import layer_singular_values, model_singular_values
from jcnn.diagnosis.verdicts import COLLAPSED_RANK
from jcnn.tracing import trace

# Gradients that are exactly 0 are measured again after up to this many steps of gradient descent.
_STEPS, _STEP = 6, 0.1


def diagnose(
    model: Any,
    *batch: Any,
    loss: Callable[..., Array] | None = None,
    call: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | str | int | None = None,
    optimizer: Any = None,
    optimizer_state: Any = None,
    singular_values: bool = False,
) -> Diagnosis:
    """Return what happens in each layer of `model` on the batch `x`, `labels`, and what is wrong.

    ``diagnose(model, x, labels)`` takes any `nnx.Module` or module of Equinox, and
    ``diagnose(model, params, x, labels)`` a module of Flax Linen with its variables, or a function
    `model(params, x)`; a further argument is the `loss`. `call` and `output` are those of
    `jcnn.adapt`, for models that are called in another way or return several outputs. Layers of
    functions are the products and convolutions with a parameter, named by its path.

    A module is used in its current mode (training or evaluation) and is not changed. `x` is an
    array of examples; a tuple of arrays is passed as several arguments. `loss(outputs, labels)`
    returns a mean or one value per example; by default, integer labels mean softmax cross-entropy,
    others the mean squared error. A model that returns several arrays needs `output`, or a `loss`
    that takes them. Updates are those of `optimizer` (by default SGD with learning rate 0.1): an
    Optax transformation, at its first step unless `optimizer_state` is given, or the
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
    module, x, labels, loss = network_and_batch(model, batch, loss, call, output)
    examine = Examination(
        module, x, labels, loss, optimizer=optimizer, optimizer_state=optimizer_state
    )
    diagnosis = examine(module)
    return with_singular_values(diagnosis, module, examine.x) if singular_values else diagnosis


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
        optimizer: Any = None,
        optimizer_state: Any = None,
    ) -> None:
        model = adapt(model)
        self.x, self.labels = jax.tree.map(jnp.asarray, (x, labels))
        check_batch(self.x, self.labels)
        self.traced = traced = trace(model, self.x)
        if loss is None:
            traced.require_single_output()
            check_labels(self.labels, traced.output_shapes)
        self._probe, self._loss = make_probe(traced), loss or default_loss(self.labels)
        self._structure: Any = jax.tree.structure(nnx.state(model))
        self.layers = layer_infos(self._probe)
        self._normalizations = normalizations_of(model)
        self._counters = random_counters(model)
        self._changes = OptimizerChanges(model, optimizer or optax.sgd(0.1), optimizer_state)

        @jax.jit
        def run(leaves: Sequence[Any], x: Any, labels: Any, state: Any) -> _Examined:
            measured = self._measured(leaves, x, labels, state)
            return _Examined(
                loss=measured.loss,
                figures=measured.figures,
                sums=[features_last(measured.values[x.weighted], x) for x in traced.layers],
                inputs=[features_last(measured.values[x.input], x) for x in traced.layers],
                leaves=_after_a_step(leaves, measured.gradients),
            )

        self._run = run

    def __call__(self, model: nnx.Module, optimizer_state: Any = None) -> Diagnosis:
        """Diagnose a model of the same structure.

        `optimizer_state` is the present one of the optimizer, or the `nnx.Optimizer`.
        """
        leaves, state = self._leaves(model), pure_state(optimizer_state)
        examined = self._run(leaves, self.x, self.labels, state)
        figures = examined.figures.to_host()
        ranks = [effective_rank(np.asarray(values, np.float32)) for values in examined.sums]
        off, later = self._start(examined, figures, ranks, state)
        return diagnose_figures(
            self.layers,
            figures,
            effective_ranks=ranks,
            later_ranks=later,
            input_ranks=[
                input_rank(values, layer.fan_in) if rank <= COLLAPSED_RANK else math.nan
                for values, layer, rank in zip(examined.inputs, self.layers, ranks, strict=True)
            ],
            off_at_start=off,
            loss=float(examined.loss),
            unseen=self.traced.unseen,
            unused=self.traced.unused,
            normalizations=self._normalizations,
        )

    def measure(
        self, model: nnx.Module, x: Any, labels: Any, optimizer_state: Any = None
    ) -> LayerFigures:
        """Return the figures of every layer on another batch of the same shapes: a pure function.

        It can be part of a compiled function. Raises ValueError for other shapes or types.
        """
        for name, given, own in (("x", x, self.x), ("labels", labels, self.labels)):
            if _kinds(given) != _kinds(own):
                raise ValueError(
                    f"{name} is {', '.join(_kinds(given))}; the network was traced for "
                    f"{', '.join(_kinds(own))}, and is measured on batches like that"
                )
        state = pure_state(optimizer_state)
        return self._measured(self._leaves(model), x, labels, state).figures

    def _measured(self, leaves: Sequence[Any], x: Any, labels: Any, state: Any) -> Measurement:
        def updates(gradients: dict[int, Array]) -> Sequence[Array]:
            return self._changes(gradients, leaves, state)

        return measure(self._probe, leaves, x, labels, self._loss, updates)

    def _leaves(self, model: nnx.Module) -> list[Any]:
        leaves, structure = jax.tree.flatten(nnx.state(adapt(model)))
        if structure != self._structure:
            raise ValueError(
                "the model has other variables than the one that was traced; make a new watch or "
                "examination for it"
            )
        return leaves

    def _start(
        self,
        examined: "_Examined",
        figures: LayerFigures,
        ranks: Sequence[float],
        state: Any,
    ) -> tuple[list[bool], list[float]]:
        """Return which layers are only off at the start, and later ranks of constant outputs.

        Gradients that are exactly 0 are measured again after steps of gradient descent, with other
        random numbers.
        """

        def zeros(figures: LayerFigures) -> np.ndarray:
            return (figures.gradient == 0) | (figures.parameter_gradient == 0)

        # Where no gradient is expected, there is nothing to wait for.
        expected = np.array([not layer.cut_off for layer in self.layers], bool)
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
            again = self._run(leaves, self.x, self.labels, state)
            leaves = again.leaves
            waiting &= zeros(again.figures.to_host())
            for i, sums in enumerate(again.sums):
                if constant[i] and math.isnan(later[i]) and (values := np.asarray(sums)).std() > 0:
                    later[i] = effective_rank(values.astype(np.float32))
        return (silent & ~waiting).tolist(), later


def _kinds(tree: Any) -> list[str]:
    return [f"{leaf.dtype} {tuple(leaf.shape)}" for leaf in map(jnp.asarray, jax.tree.leaves(tree))]


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
