"""`diagnose` for a chain of layers, each compiled separately.

`diagnose` compiles the whole network as one program, which takes seconds for a deep one, and again
for every other depth or activation. Here each layer is a program, and equal layers share it: a
longer chain compiles nothing, and a changed layer only itself. Interactive tools need that; for a
single network, `diagnose` takes any module.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.activations import Facts, facts, identity
from jcnn.diagnosis.before_a_batch import normalizations_of
from jcnn.diagnosis.dead_units import flat_shares, usual_saturation
from jcnn.diagnosis.diagnosis import Diagnosis, diagnose_figures
from jcnn.diagnosis.effective_rank import effective_rank, input_rank
from jcnn.diagnosis.examination import default_loss
from jcnn.diagnosis.layer_report import LayerInfo
from jcnn.diagnosis.measure import (
    LayerFigures,
    Loss,
    mean_and_std,
    norm,
    saturating_slope,
    without_marks,
)
from jcnn.diagnosis.verdicts import COLLAPSED_RANK
from jcnn.layers import Activation, Learned, Sequential
from jcnn.training.watch import UNKNOWN

# Updates are those of plain gradient descent with this learning rate, as in `diagnose`.
LEARNING_RATE = 0.1


class ChainLayer(NamedTuple):
    """A layer of a chain as a program: its static part, its parameters and its other state."""

    name: str
    kind: str
    graph: Any
    params: Any
    rest: Any

    def kernels(self) -> list[Array]:
        """The parameters of two axes or more."""
        return [leaf for leaf in jax.tree.leaves(self.params) if leaf.ndim >= 2]


class WeightedLayer(NamedTuple):
    """The index in the chain of a layer with weights, and the activation that follows it.

    `output` is the index of the activation, or `weighted` again if there is none.
    """

    weighted: int
    output: int
    activation: Callable[..., Array] | None

    def facts(self) -> Facts | None:
        """Return the facts of the activation; None without one, or if it has parameters."""
        if self.activation is None or isinstance(self.activation, Learned):
            return None
        return facts(self.activation)


@dataclass(frozen=True, kw_only=True)
class LayerwiseDiagnosis:
    """A diagnosis, the network's outputs, and the output of each layer of the diagnosis by name.

    If an activation follows a layer, `values` holds the activation's output.
    """

    diagnosis: Diagnosis
    outputs: Array
    values: dict[str, Array]


def diagnose_layerwise(
    model: nnx.Module, x: Any, labels: Any, loss: Loss | None = None
) -> LayerwiseDiagnosis:
    """Return `jcnn.diagnose(model, x, labels, loss)` of a chain of layers, compiled layer by layer.

    The figures are the same up to rounding. Raises ValueError if the model is not a
    `jcnn.layers.Sequential`, or has no weighted layer.

    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 8, 8, 1)), jnp.arange(64) % 10
    >>> deep = models.plain_cnn(
    ...     (8, 8, 1), 10, depth=12, activation=jax.nn.sigmoid, rngs=nnx.Rngs(0)
    ... )
    >>> diagnose_layerwise(deep, x, labels).diagnosis.verdict
    'vanishing'
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    chain, weighted = split_chain(model)
    inputs, outputs = [], x
    for layer in chain:
        inputs.append(outputs)
        outputs = _forward(layer.graph, layer.params, layer.rest, outputs)
    values = [*inputs[1:], outputs]
    mean_loss, cotangent = _loss_and_gradient(loss or default_loss(labels), outputs, labels)
    norms: list[Any] = [()] * len(chain)  # of the gradients of each layer's kernels and parameters
    gradients = [cotangent] * len(chain)  # at each layer's output
    for i in range(len(chain) - 1, -1, -1):
        layer, gradients[i] = chain[i], cotangent
        cotangent, norms[i] = _backward(layer.graph, layer.params, layer.rest, inputs[i], cotangent)
    figures = [
        _figures(chain, layer, values, gradients[layer.output], *norms[layer.weighted])
        for layer in weighted
    ]
    infos = [_info(chain, weighted, i, values) for i in range(len(weighted))]
    ranks = [effective_rank(np.asarray(values[layer.weighted])) for layer in weighted]
    return LayerwiseDiagnosis(
        diagnosis=diagnose_figures(
            infos,
            _stack_on_host(figures),
            effective_ranks=ranks,
            input_ranks=[
                input_rank(inputs[layer.weighted], info.fan_in)
                if rank <= COLLAPSED_RANK
                else math.nan
                for layer, info, rank in zip(weighted, infos, ranks, strict=True)
            ],
            normalizations=normalizations_of(model),
            loss=float(mean_loss),
        ),
        outputs=outputs,
        values={chain[layer.weighted].name: values[layer.output] for layer in weighted},
    )


def split_chain(model: nnx.Module) -> tuple[list[ChainLayer], list[WeightedLayer]]:
    """Return the layers of a chain, and those with weights; ValueError if there are none."""
    if not isinstance(model, Sequential):
        raise ValueError(
            f"model is a {type(model).__name__}; expected a jcnn.layers.Sequential: use "
            "jcnn.diagnose for other models"
        )
    chain: list[ChainLayer] = []
    weighted: list[WeightedLayer] = []
    for i, name in enumerate(model.names):
        module = getattr(model, name)
        layer = ChainLayer(name, type(module).__name__, *nnx.split(module, nnx.Param, ...))
        chain.append(layer)
        if layer.kernels():
            weighted.append(WeightedLayer(i, i, None))
        is_activation = isinstance(module, Activation) and module.function is not identity
        if is_activation and weighted and weighted[-1].activation is None:
            function = Learned(module.function) if module.parameters else module.function
            weighted[-1] = WeightedLayer(weighted[-1].weighted, i, function)
    if not weighted:
        raise ValueError("the model has no layer with weights, so there is nothing to diagnose")
    return chain, weighted


def _info(
    chain: Sequence[ChainLayer], layers: Sequence[WeightedLayer], i: int, values: Sequence[Array]
) -> LayerInfo:
    layer, weighted = layers[i], chain[layers[i].weighted]
    activation_facts = layer.facts()
    if activation_facts is None:
        name = getattr(layer.activation, "__name__", "own")
    else:
        name = activation_facts.name
    return LayerInfo(
        name=weighted.name,
        kind=weighted.kind,
        activation=None if layer.activation is None else name,
        shape=values[layer.output].shape[1:],
        units=values[layer.weighted].shape[-1],
        fan_in=max(math.prod(kernel.shape[:-1]) for kernel in weighted.kernels()),
        trained=True,  # only kernels that are `nnx.Param` make a layer a weighted one
        reads=(i - 1,),
        is_end=i == len(layers) - 1,
        usually_saturated=usual_saturation(layer.activation, activation_facts)
        if layer.activation
        else 0.0,
    )


def _figures(
    chain: Sequence[ChainLayer],
    layer: WeightedLayer,
    values: Sequence[Array],
    gradient: Array,
    kernel_gradient: Array,
    parameter_gradient: Array,
) -> LayerFigures:
    mean, std = _mean_and_std(values[layer.output])
    saturated, dead = _flat_shares_of(chain, layer, values)
    # The gradient of the mean loss is each example's own gradient divided by their number.
    scale = len(gradient) ** 0.5
    return LayerFigures(
        mean=mean,
        std=std,
        saturated=saturated,
        dead=dead,
        gradient=scale * compiled_norm([gradient]),
        weight_gradient=kernel_gradient,
        weight=compiled_norm(chain[layer.weighted].kernels()),
        update=LEARNING_RATE * kernel_gradient,
        parameter_gradient=parameter_gradient,
    )


def _stack_on_host(figures: Sequence[LayerFigures]) -> LayerFigures:
    """Stack on the host: on the device, each number of layers would compile a program."""
    stacked: LayerFigures = jax.tree.map(
        lambda *values: np.array(values, np.float64), *jax.device_get(list(figures))
    )
    return without_marks(stacked)


def _flat_shares_of(
    chain: Sequence[ChainLayer], layer: WeightedLayer, values: Sequence[Array]
) -> tuple[Any, Any]:
    """Return the shares of saturated elements and dead units; UNKNOWN if it has none."""
    activation_facts = layer.facts()
    if activation_facts is None or not activation_facts.saturates:
        return UNKNOWN, UNKNOWN
    activation = chain[layer.output]
    return _flat_shares(
        activation.graph,
        activation.params,
        activation.rest,
        values[layer.output - 1],
        saturating_slope(activation_facts),
    )


def apply(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    """Return a layer's output."""
    y: Array = nnx.merge(graph, params, rest, copy=True)(x)
    return y


_forward = partial(jax.jit, static_argnums=0)(apply)


@partial(jax.jit, static_argnums=0)
def _backward(
    graph: Any, params: Any, rest: Any, x: Array, cotangent: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Return the gradient at a layer's input, and the norms of its kernels' and parameters'."""
    _, pullback = jax.vjp(lambda params, x: apply(graph, params, rest, x), params, x)
    gradients, at_input = pullback(cotangent)
    leaves = jax.tree.leaves(gradients)
    return at_input, (norm([leaf for leaf in leaves if leaf.ndim >= 2]), norm(leaves))


@partial(jax.jit, static_argnums=0)
def _flat_shares(
    graph: Any, params: Any, rest: Any, x: Array, greatest: Any
) -> tuple[Array, Array]:
    _, pullback = jax.vjp(lambda x: apply(graph, params, rest, x), x)
    return flat_shares(pullback(jnp.ones_like(x))[0], greatest)


@partial(jax.jit, static_argnums=0)
def _loss_and_gradient(loss: Loss, outputs: Array, labels: Array) -> tuple[Array, Array]:
    """Return the mean loss, and its gradient at the outputs."""
    return jax.value_and_grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32)))(outputs)


_mean_and_std = jax.jit(mean_and_std)
compiled_norm = jax.jit(norm)
