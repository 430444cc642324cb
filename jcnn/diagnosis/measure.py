"""What one batch does in every layer, in numbers: signals going up, gradients coming down.

Pure functions of the model's state and a batch, which can be compiled into a training step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.acceleration import accelerate_traced
from jcnn.activations import Facts
from jcnn.diagnosis.dead_units import flat_shares
from jcnn.tracing import TracedLayer, TracedModel, Var, evaluate
from jcnn.training.watch import UNKNOWN

Loss = Callable[[Array, Array], Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class LayerFigures:
    """What one batch does in each layer: arrays with one value per layer, in order of the calls.

    `mean` and `std` are those of the layer's output; `saturated` and `dead` are shares of elements
    and of units (UNKNOWN on the device and NaN on the host if the activation cannot saturate or
    die). `gradient` is the root mean square
    over examples of the norm of dL/dh at the output, for each example's own loss.
    `weight_gradient`, `weight` and `update` are norms over the layer's kernels: of dL/dW, of W, and
    of the optimizer's change; `parameter_gradient` is that of the gradient of all its parameters.
    """

    mean: Any
    std: Any
    saturated: Any
    dead: Any
    gradient: Any
    weight_gradient: Any
    weight: Any
    update: Any
    parameter_gradient: Any

    @classmethod
    def stack(cls, layers: "Sequence[LayerFigures]") -> "LayerFigures":
        """Return the figures of several layers, each with scalars, as one."""
        if not layers:
            return cls(**{field.name: jnp.zeros(0) for field in fields(cls)})
        stacked: LayerFigures = jax.tree.map(lambda *values: jnp.stack(values), *layers)
        return stacked

    def to_host(self) -> "LayerFigures":
        """Return the figures as NumPy arrays of float64, with NaN for UNKNOWN."""
        return without_marks(
            jax.tree.map(lambda value: np.asarray(value, np.float64), jax.device_get(self))
        )


def without_marks(figures: LayerFigures) -> LayerFigures:
    """Return figures on the host with NaN for UNKNOWN."""
    shares = {
        name: np.where(getattr(figures, name) == UNKNOWN, np.nan, getattr(figures, name))
        for name in ("saturated", "dead")
    }
    return replace(figures, **shares)


class Probe(NamedTuple):
    """A traced model to be measured, and what is known of the activation after each layer."""

    traced: TracedModel
    facts: Sequence[Facts | None]


def make_probe(traced: TracedModel) -> Probe:
    """Return the probe of a model, for which the facts of each activation are measured."""
    activations = [layer.activation for layer in traced.layers]
    return Probe(traced, [None if a is None else a.facts() for a in activations])


class Measurement(NamedTuple):
    """What one batch shows: the mean loss, each layer's figures, and every value of the program.

    `gradients` are those of the trained leaves, by index.
    """

    loss: Array
    figures: LayerFigures
    values: dict[Var, Any]
    gradients: dict[int, Array]


def measure(
    probe: Probe,
    leaves: Sequence[Any],
    x: Any,
    labels: Any,
    loss: Loss,
    updates: Callable[[dict[int, Array]], Sequence[Array]] | None = None,
    replace: Mapping[Var, Callable[[Mapping[Var, Any]], Any]] | None = None,
) -> Measurement:
    """Measure every layer on a batch.

    `x` and `labels` are arrays, or trees of them. `loss(outputs, labels)` returns a mean over
    examples, or one value per example. `updates` maps
    the gradients of the trained leaves, by index, to the optimizer's change of each (by default,
    the gradients themselves). `replace` is that of `jcnn.tracing.evaluate`.
    """
    traced = probe.traced
    outputs = sorted({layer.output for layer in traced.layers})
    batch = jax.tree.leaves(x)

    def mean_loss(params: list[Array], offsets: list[Array]) -> tuple[Array, dict[Var, Any]]:
        merged = list(leaves)
        for index, value in zip(traced.params, params, strict=True):
            merged[index] = value
        at_outputs = dict(zip(outputs, offsets, strict=True))
        values = evaluate(traced.program, [*merged, *batch], offsets=at_outputs, replace=replace)
        return jnp.mean(loss(traced.outputs(values), labels).astype(jnp.float32)), values

    avals = [traced.program.avals[variable] for variable in outputs]
    zeros = [jnp.zeros(aval.shape, aval.dtype) for aval in avals]
    (value, values), (by_params, by_outputs) = jax.value_and_grad(
        accelerate_traced(mean_loss), (0, 1), has_aux=True
    )([leaves[index] for index in traced.params], zeros)
    gradients = dict(zip(traced.params, by_params, strict=True))
    output_gradients = dict(zip(outputs, by_outputs, strict=True))
    changes = dict(zip(traced.params, updates(gradients), strict=True)) if updates else gradients

    def norm_of(
        arrays: Mapping[int, Array], indices: Sequence[int], part: tuple[int, ...]
    ) -> Array:
        return norm([arrays[index][part] for index in indices if index in arrays])

    # The gradient of the mean loss is each example's own gradient divided by their number.
    scale = jnp.float32(len(batch[0]) ** 0.5)
    figures = []
    for layer, facts in zip(traced.layers, probe.facts, strict=True):
        mean, std = mean_and_std(values[layer.output])
        saturated, dead = _flat_shares_of(layer, values, facts)
        figures.append(
            LayerFigures(
                mean=mean,
                std=std,
                saturated=saturated,
                dead=dead,
                gradient=scale * norm([output_gradients[layer.output]]),
                weight_gradient=norm_of(gradients, layer.kernels, layer.part),
                weight=norm_of(dict(enumerate(leaves)), layer.kernels, layer.part),
                update=norm_of(changes, layer.kernels, layer.part),
                parameter_gradient=norm_of(gradients, layer.params, layer.part),
            )
        )
    return Measurement(value, LayerFigures.stack(figures), values, gradients)


def norm(arrays: Sequence[Array]) -> Array:
    """Return the Euclidean norm of all arrays together, even if squares overflow float32."""
    if not arrays:
        return jnp.float32(0)
    arrays = [array.astype(jnp.float32) for array in arrays]
    scale = _scale([jnp.max(jnp.abs(array), initial=0.0) for array in arrays])
    return scale * jnp.sqrt(sum(jnp.sum(jnp.square(array / scale)) for array in arrays))


def mean_and_std(x: Array) -> tuple[Array, Array]:
    """Return the mean and standard deviation, even if squares overflow float32."""
    x = x.astype(jnp.float32)
    scale = _scale([jnp.max(jnp.abs(x), initial=0.0)])
    return scale * jnp.mean(x / scale), scale * jnp.std(x / scale)


def _scale(maxima: Sequence[Array]) -> Array:
    """Return the greatest absolute value, or 1 if all are 0: squares relative to it are safe."""
    greatest = jnp.max(jnp.stack(maxima))
    return jnp.where(greatest > 0, greatest, jnp.float32(1))


def _flat_shares_of(
    layer: TracedLayer, values: Mapping[Var, Any], facts: Facts | None
) -> tuple[Array, Array]:
    """Return the shares of saturated elements and dead units; UNKNOWN if it has none."""
    activation = layer.activation
    if activation is None or facts is None or not facts.saturates:
        return jnp.float32(UNKNOWN), jnp.float32(UNKNOWN)
    return flat_shares(features_last(activation.slope(values), layer), saturating_slope(facts))


def features_last(values: Array, layer: TracedLayer) -> Array:
    """Return a layer's values with their features along the last axis."""
    if layer.features in (-1, values.ndim - 1) or values.ndim <= layer.features:
        return values
    return jnp.moveaxis(values, layer.features, -1)


def saturating_slope(facts: Facts) -> float:
    """Return the greatest slope of an activation that levels off at both ends; else 0."""
    return facts.max_derivative if len(facts.saturates) == 2 else 0.0
