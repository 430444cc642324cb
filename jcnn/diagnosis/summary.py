"""What a model consists of and what it costs: parameters, operations, memory, receptive fields."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.adapters import adapt
from jcnn.diagnosis.measure import features_last
from jcnn.tracing import (
    Equation,
    TracedLayer,
    TracedModel,
    Var,
    count_operations,
    equations_up_to,
    evaluate,
    read,
    run_equation,
    run_equations,
    trace,
)

# Receptive fields are found with batches of at most this many elements.
_PROBED_ELEMENTS = 1 << 21


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One call of a layer with weights, for one example.

    `flops` are the multiplications and additions of the call (without what follows it), padding
    not counted (`jcnn.tracing.count_operations`). `activation_bytes` is the size of the output.
    `receptive_field` is the extent, along each spatial axis, of the inputs within the image that
    the middle unit of the output depends on; empty for inputs without spatial axes, and for layers
    that are called in training only.
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


def summarize(model: Any, input_shape: Sequence[int], *, batch_size: int = 64) -> Summary:
    """Return what `model` consists of and costs, for inputs `(batch, *input_shape)`.

    The model is an `nnx.Module` or a module of Equinox; `jcnn.adapt` makes one of other networks.
    Raises ValueError for a model without weighted layers.

    >>> from jcnn import models
    >>> summary = summarize(models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0)), (8, 8, 1))
    >>> [(layer.name, layer.parameters, layer.receptive_field) for layer in summary.layers][:2]
    [('conv1', 160, (3, 3)), ('conv2', 4640, (7, 7))]
    """
    model = adapt(model)
    dtype = _dtype(model)
    x = jax.ShapeDtypeStruct((batch_size, *input_shape), dtype)
    traced = trace(model, x, activations=False)
    fields = _receptive_fields(model, tuple(input_shape), dtype)
    first_call: dict[tuple[int, ...], str] = {}
    layers = []
    for layer in traced.layers:
        params = tuple(layer.params)
        is_first_call = first_call.setdefault(params, layer.name) == layer.name
        output = traced.program.avals[layer.weighted]
        layers.append(
            LayerSummary(
                name=layer.name,
                kind=layer.kind,
                shape=tuple(output.shape[1:]),
                parameters=_count(traced, params) if is_first_call else 0,
                flops=_layer_operations(traced, layer) / batch_size,
                activation_bytes=math.prod(output.shape[1:]) * output.dtype.itemsize,
                receptive_field=fields.get(layer.name, ()),
            )
        )
    leaves = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in traced.leaves]

    def total_output(leaves: Sequence[Any], x: Array) -> Array:
        values = evaluate(traced.program, [*leaves, x])
        outputs = jax.tree.leaves(traced.outputs(values))
        return sum((jnp.sum(output.astype(jnp.float32)) for output in outputs), jnp.float32(0))

    def gradient(trained: Sequence[Array], leaves: Sequence[Any], x: Array) -> Any:
        def total(trained: Sequence[Array]) -> Array:
            merged = list(leaves)
            for index, value in zip(traced.params, trained, strict=True):
                merged[index] = value
            return total_output(merged, x)

        return jax.grad(total)(trained)

    trained = [leaves[index] for index in traced.params]
    step = jax.jit(gradient).lower(trained, leaves, x).compile().memory_analysis()
    return Summary(
        layers=layers,
        parameters=_count(traced, traced.params),
        flops=count_operations(traced.program) / batch_size,
        batch_size=batch_size,
        step_bytes=int(getattr(step, "temp_size_in_bytes", 0)),
    )


def _dtype(model: nnx.Module) -> Any:
    """Return the dtype of a model's parameters: that of most of their elements."""
    sizes: dict[Any, int] = {}
    for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            sizes[leaf.dtype] = sizes.get(leaf.dtype, 0) + leaf.size
    return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else jnp.float32


def _count(traced: TracedModel, indices: Sequence[int]) -> int:
    return sum(math.prod(traced.leaves[index].shape) for index in indices)


def _layer_operations(traced: TracedModel, layer: TracedLayer) -> float:
    equations = equations_up_to(traced.program, layer.weighted, given=layer.input)
    return count_operations(traced.program, equations)


def _receptive_fields(
    model: nnx.Module, input_shape: tuple[int, ...], dtype: Any
) -> dict[str, tuple[int, ...]]:
    """Return, for each layer, how many inputs along each axis its middle unit depends on.

    Each example of a batch is NaN at one position of one axis; the NaNs reach whatever depends on
    that position. Layers are those that are called in evaluation.
    """
    spatial = input_shape[:-1]
    copy = nnx.clone(model)
    copy.eval()
    places = [(axis, position) for axis, size in enumerate(spatial) for position in range(size)]
    count = max(1, min(len(places), _PROBED_ELEMENTS // math.prod(input_shape)))
    traced = trace(copy, jax.ShapeDtypeStruct((count, *input_shape), dtype))
    if not spatial:
        return {layer.name: () for layer in traced.layers}
    reached = _reach(traced)
    rows = []
    with jax.debug_nans(False):  # which would report them
        for start in range(0, len(places), count):
            x = np.zeros((count, *input_shape), np.float32)
            for example, (axis, position) in enumerate(places[start : start + count]):
                np.moveaxis(x[example], axis, 0)[position] = np.nan
            rows.append(np.asarray(reached(jnp.asarray(x, dtype))))
    bounds = np.cumsum((0, *spatial))
    return {
        layer.name: tuple(_extent(by_place[a:b]) for a, b in itertools.pairwise(bounds))
        for layer, by_place in zip(
            traced.layers, np.concatenate(rows, axis=1)[:, : len(places)], strict=True
        )
    }


def _extent(reached: np.ndarray) -> int:
    positions = np.flatnonzero(reached)
    return int(positions[-1] - positions[0] + 1) if len(positions) else 0


def _reach(traced: TracedModel) -> Callable[[Array], Array]:
    """Return `x -> (layers, examples)`: whether NaNs of an example reach a layer's middle unit.

    Activations, which may stop a NaN, are skipped, and maxima over windows replaced by sums.
    """
    skipped = {
        layer.output: layer.activation.root
        for layer in traced.layers
        if layer.activation is not None
    }
    leaves = [
        jnp.ones(leaf.shape, leaf.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
        for leaf in traced.leaves
    ]

    def rule(equation: Equation, values: Mapping[Var, Any]) -> Sequence[Any]:
        if equation.outputs[0] in skipped:
            return [values[skipped[equation.outputs[0]]]]
        if equation.name in ("reduce_window_max", "reduce_window_min"):
            (x,) = (read(values, atom) for atom in equation.inputs)
            zero = jnp.zeros((), x.dtype)
            return [jax.lax.reduce_window(x, zero, jax.lax.add, **equation.params)]
        return run_equation(equation, values)

    @jax.jit
    def reached(x: Array) -> Array:
        inputs = dict(zip(traced.program.inputs, [*leaves, x], strict=True))
        values = run_equations(traced.program.equations, inputs, rule)
        return jnp.stack(
            [
                _middle_is_nan(features_last(values[layer.weighted], layer))
                for layer in traced.layers
            ]
        )

    return reached


def _middle_is_nan(values: Array) -> Array:
    for size in values.shape[1:-1]:
        values = values[:, size // 2]
    return jnp.any(jnp.isnan(values), axis=-1)
