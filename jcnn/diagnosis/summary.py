"""What a model is made of and what it costs: parameters, operations, memory, receptive fields."""

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

from jcnn.tracing.blocks import Block, Traced, trace
from jcnn.tracing.program import Program, evaluate, leading_to, read, run


@dataclass(frozen=True)
class LayerSummary:
    """One call of a layer with weights, for one example.

    `flops` are the multiplications and additions of its call (not of what follows it), as XLA
    counts those of its compiled program. `activation_bytes` is the size of what it gives.
    `receptive_field` is how far the inputs that reach the unit in the middle of its output extend
    along each spatial axis, within the image; empty for inputs without spatial axes.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: float
    activation_bytes: int
    receptive_field: tuple[int, ...]


@dataclass(frozen=True)
class Summary:
    """A model's layers, and all of it.

    `parameters` counts every `nnx.Param`; `flops` those of a forward pass of one example, and
    `step_bytes` what XLA's program for a batch's gradient holds beside its arguments.
    """

    layers: Sequence[LayerSummary]
    parameters: int
    flops: float
    batch_size: int
    step_bytes: int


def summarize(model: nnx.Module, input_shape: Sequence[int], *, batch_size: int = 64) -> Summary:
    """What `model` is made of and what it costs, for inputs `(batch, *input_shape)`.

    Raises ValueError for a model without weighted layers.

    >>> from jcnn import models
    >>> found = summarize(models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0)), (8, 8, 1))
    >>> [(layer.name, layer.parameters, layer.receptive_field) for layer in found.layers][:2]
    [('conv1', 160, (3, 3)), ('conv2', 4640, (7, 7))]
    """
    x = jax.ShapeDtypeStruct((batch_size, *input_shape), jnp.float32)
    traced = trace(model, x)
    fields = _receptive_fields(model, tuple(input_shape))
    first: dict[tuple[int, ...], str] = {}
    layers = []
    for block, field in zip(traced.blocks, fields, strict=True):
        own = tuple(block.trained)
        again = first.setdefault(own, block.name) != block.name
        output = traced.program.avals[block.weighted]
        layers.append(
            LayerSummary(
                block.name,
                block.kind,
                tuple(output.shape[1:]),
                0 if again else _count(traced, own),
                _layer_flops(traced, block) / batch_size,
                math.prod(output.shape[1:]) * output.dtype.itemsize,
                field,
            )
        )
    leaves = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in traced.leaves]

    def forward(leaves: Sequence[Any], x: Array) -> Array:
        values = evaluate(traced.program, [*leaves, x])
        found: Array = read(values, traced.program.outputs[0])
        return found

    def gradient(trained: Sequence[Array], leaves: Sequence[Any], x: Array) -> Any:
        def total(trained: Sequence[Array]) -> Array:
            whole = list(leaves)
            for index, value in zip(traced.params, trained, strict=True):
                whole[index] = value
            return jnp.sum(forward(whole, x).astype(jnp.float32))

        return jax.grad(total)(trained)

    trained = [leaves[index] for index in traced.params]
    step = jax.jit(gradient).lower(trained, leaves, x).compile().memory_analysis()
    return Summary(
        layers,
        _count(traced, traced.params),
        _flops(forward, leaves, x) / batch_size,
        batch_size,
        int(getattr(step, "temp_size_in_bytes", 0)),
    )


def _count(traced: Traced, indices: Sequence[int]) -> int:
    return sum(math.prod(traced.leaves[index].shape) for index in indices)


def _flops(function: Any, *arguments: Any) -> float:
    found = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return float((found or {}).get("flops", math.nan))


def _layer_flops(traced: Traced, block: Block) -> float:
    program = traced.program
    equations = leading_to(program, block.weighted, block.input)
    needed = {atom for one in equations for atom in one.inputs if isinstance(atom, int)}
    given = sorted(needed.intersection({*program.inputs, block.input}))

    def layer(arguments: Sequence[Any]) -> Any:
        values = dict(zip(given, arguments, strict=True))
        for one in equations:
            found = run(one, [read(values, atom) for atom in one.inputs])
            values |= dict(zip(one.outputs, found, strict=True))
        return values[block.weighted]

    shapes = [program.avals[place] for place in given]
    return _flops(layer, [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in shapes])


def _receptive_fields(model: nnx.Module, input_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Of each block: how many inputs along each spatial axis its middle unit depends on.

    Every example of a batch is marked, with NaN, at one place along one axis, and the marks are
    seen wherever the program carries them.
    """
    spatial = input_shape[:-1]
    copy = nnx.clone(model)
    copy.eval()
    total = max(sum(spatial), 1)
    traced = trace(copy, jax.ShapeDtypeStruct((total, *input_shape), jnp.float32))
    if not spatial:
        return [() for _ in traced.blocks]
    x = np.zeros((total, *input_shape), np.float32)
    at = 0
    for axis, size in enumerate(spatial):
        for place in range(size):
            np.moveaxis(x[at], axis, 0)[place] = np.nan
            at += 1
    marked = _marks(traced, x)
    found = []
    for values in marked:
        middle = values
        for size in values.shape[1:-1]:
            middle = middle[:, size // 2]
        ends = np.cumsum((0, *spatial))
        rows = np.isnan(middle).any(axis=-1)
        found.append(tuple(_extent(rows[a:b]) for a, b in itertools.pairwise(ends)))
    return found


def _extent(reached: np.ndarray) -> int:
    places = np.flatnonzero(reached)
    return int(places[-1] - places[0] + 1) if len(places) else 0


def _marks(traced: Traced, x: np.ndarray) -> list[np.ndarray]:
    """The weighted sums of each block; activations, which may stop a mark, are passed by."""
    program: Program = traced.program
    instead = {
        block.output: lambda values, root=block.activation.root: values[root]
        for block in traced.blocks
        if block.activation is not None
    }
    leaves = [
        jnp.ones(one.shape, one.dtype) if jnp.issubdtype(one.dtype, jnp.floating) else one
        for one in traced.leaves
    ]
    places = [block.weighted for block in traced.blocks]

    @jax.jit
    def marked(leaves: Sequence[Any], x: Array) -> list[Array]:
        values = evaluate(program, [*leaves, x], instead=instead)
        return [values[place].astype(jnp.float32) for place in places]

    return [np.asarray(one) for one in marked(leaves, jnp.asarray(x))]
