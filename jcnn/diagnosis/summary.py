"""What a model consists of and what it costs: parameters, operations, memory, receptive fields."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.tracing import (
    TracedLayer,
    TracedModel,
    equations_up_to,
    evaluate,
    read,
    run_equations,
    trace,
)


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One call of a layer with weights, for one example.

    `flops` are the multiplications and additions of the call (without what follows it), as XLA
    counts them in its compiled program. `activation_bytes` is the size of the output.
    `receptive_field` is the extent, along each spatial axis, of the inputs within the image that
    the middle unit of the output depends on; empty for inputs without spatial axes.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: float
    activation_bytes: int
    receptive_field: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A model's layers and its totals.

    `parameters` counts every `nnx.Param`, `flops` the operations of a forward pass of one example;
    `step_bytes` is the memory that XLA's program for the gradient of a batch needs in addition to
    its arguments.
    """

    layers: Sequence[LayerSummary]
    parameters: int
    flops: float
    batch_size: int
    step_bytes: int


def summarize(model: nnx.Module, input_shape: Sequence[int], *, batch_size: int = 64) -> Summary:
    """Return what `model` consists of and costs, for inputs `(batch, *input_shape)`.

    Raises ValueError for a model without weighted layers.

    >>> from jcnn import models
    >>> summary = summarize(models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0)), (8, 8, 1))
    >>> [(layer.name, layer.parameters, layer.receptive_field) for layer in summary.layers][:2]
    [('conv1', 160, (3, 3)), ('conv2', 4640, (7, 7))]
    """
    x = jax.ShapeDtypeStruct((batch_size, *input_shape), jnp.float32)
    traced = trace(model, x)
    fields = _receptive_fields(model, tuple(input_shape))
    first_call: dict[tuple[int, ...], str] = {}
    layers = []
    for layer, field in zip(traced.layers, fields, strict=True):
        params = tuple(layer.params)
        is_first_call = first_call.setdefault(params, layer.name) == layer.name
        output = traced.program.avals[layer.weighted]
        layers.append(
            LayerSummary(
                name=layer.name,
                kind=layer.kind,
                shape=tuple(output.shape[1:]),
                parameters=_count(traced, params) if is_first_call else 0,
                flops=_layer_flops(traced, layer) / batch_size,
                activation_bytes=math.prod(output.shape[1:]) * output.dtype.itemsize,
                receptive_field=field,
            )
        )
    leaves = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in traced.leaves]

    def forward(leaves: Sequence[Any], x: Array) -> Array:
        values = evaluate(traced.program, [*leaves, x])
        outputs: Array = read(values, traced.program.outputs[0])
        return outputs

    def gradient(trained: Sequence[Array], leaves: Sequence[Any], x: Array) -> Any:
        def total(trained: Sequence[Array]) -> Array:
            merged = list(leaves)
            for index, value in zip(traced.params, trained, strict=True):
                merged[index] = value
            return jnp.sum(forward(merged, x).astype(jnp.float32))

        return jax.grad(total)(trained)

    trained = [leaves[index] for index in traced.params]
    step = jax.jit(gradient).lower(trained, leaves, x).compile().memory_analysis()
    return Summary(
        layers=layers,
        parameters=_count(traced, traced.params),
        flops=_flops(forward, leaves, x) / batch_size,
        batch_size=batch_size,
        step_bytes=int(getattr(step, "temp_size_in_bytes", 0)),
    )


def _count(traced: TracedModel, indices: Sequence[int]) -> int:
    return sum(math.prod(traced.leaves[index].shape) for index in indices)


def _flops(function: Any, *arguments: Any) -> float:
    costs = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return float((costs or {}).get("flops", math.nan))


def _layer_flops(traced: TracedModel, layer: TracedLayer) -> float:
    program = traced.program
    equations = equations_up_to(program, layer.weighted, given=layer.input)
    needed = {variable for equation in equations for variable in equation.variables()}
    inputs = sorted(needed.intersection({*program.inputs, layer.input}))

    def call(arguments: Sequence[Any]) -> Any:
        values = dict(zip(inputs, arguments, strict=True))
        return run_equations(equations, values)[layer.weighted]

    avals = [program.avals[variable] for variable in inputs]
    return _flops(call, [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals])


def _receptive_fields(model: nnx.Module, input_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return, for each layer, how many inputs along each axis its middle unit depends on.

    Each example of a batch is NaN at one position of one axis; the NaNs reach whatever depends on
    that position.
    """
    spatial = input_shape[:-1]
    copy = nnx.clone(model)
    copy.eval()
    total = max(sum(spatial), 1)
    traced = trace(copy, jax.ShapeDtypeStruct((total, *input_shape), jnp.float32))
    if not spatial:
        return [() for _ in traced.layers]
    x = np.zeros((total, *input_shape), np.float32)
    example = 0
    for axis, size in enumerate(spatial):
        for position in range(size):
            np.moveaxis(x[example], axis, 0)[position] = np.nan
            example += 1
    bounds = np.cumsum((0, *spatial))
    fields = []
    with jax.debug_nans(False):  # which would report them
        outputs = _outputs_with_nan(traced, x)
    for values in outputs:
        middle = values
        for size in values.shape[1:-1]:
            middle = middle[:, size // 2]
        reached = np.isnan(middle).any(axis=-1)
        fields.append(tuple(_extent(reached[a:b]) for a, b in itertools.pairwise(bounds)))
    return fields


def _extent(reached: np.ndarray) -> int:
    positions = np.flatnonzero(reached)
    return int(positions[-1] - positions[0] + 1) if len(positions) else 0


def _outputs_with_nan(traced: TracedModel, x: np.ndarray) -> list[np.ndarray]:
    """Return each layer's output; activations, which may stop a NaN, are skipped."""
    skipped = {
        layer.output: lambda values, root=layer.activation.root: values[root]
        for layer in traced.layers
        if layer.activation is not None
    }
    leaves = [
        jnp.ones(leaf.shape, leaf.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        for leaf in traced.leaves
    ]
    outputs = [layer.weighted for layer in traced.layers]

    @jax.jit
    def run(leaves: Sequence[Any], x: Array) -> list[Array]:
        values = evaluate(traced.program, [*leaves, x], replace=skipped)
        return [values[variable].astype(jnp.float32) for variable in outputs]

    return [np.asarray(values) for values in run(leaves, jnp.asarray(x))]
