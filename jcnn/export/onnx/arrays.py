"""Primitives that move, select and sum up values, in ONNX's operators."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from jcnn.errors import UsageError
from jcnn.export.onnx.dtypes import code_of
from jcnn.export.onnx.graph import Graph, Value


def _reshape(graph: Graph, equation: Any, x: Value, *_: Value) -> Value:
    return graph.reshape(x, equation.outvars[0].aval.shape)


def _transpose(graph: Graph, equation: Any, x: Value) -> Value:
    return graph.transpose(x, equation.params["permutation"])


def _broadcast(graph: Graph, equation: Any, x: Value, *_: Value) -> Value:
    shape, axes = equation.outvars[0].aval.shape, equation.params["broadcast_dimensions"]
    sizes = [1] * len(shape)
    for axis, size in zip(axes, equation.invars[0].aval.shape, strict=True):
        sizes[axis] = size
    x = graph.reshape(x, sizes)
    if tuple(sizes) == tuple(shape):
        return x
    return graph.add("Expand", x, graph.shape(shape))


def _concatenate(graph: Graph, equation: Any, *values: Value) -> str:
    return graph.add("Concat", *values, axis=equation.params["dimension"])


def _split(graph: Graph, equation: Any, x: Value) -> list[Value]:
    axis, first, parts = equation.params["axis"], 0, []
    for size in map(int, equation.params["sizes"]):
        parts.append(sliced(graph, x, [axis], [first], [first + size], [1]))
        first += size
    return list(parts)


def sliced(
    graph: Graph,
    x: Value,
    axes: Sequence[int],
    starts: Sequence[int],
    stops: Sequence[int],
    steps: Sequence[int],
) -> str:
    """Take a part of some axes; a stop of 2**62 or -2**62 is the end."""
    parts = (np.array(part, np.int64) for part in (starts, stops, axes, steps))
    return graph.add("Slice", x, *parts)


def _slice(graph: Graph, equation: Any, x: Value) -> Value:
    shape, parameters = equation.invars[0].aval.shape, equation.params
    strides = parameters["strides"] or (1,) * len(shape)
    bounds = zip(
        shape, parameters["start_indices"], parameters["limit_indices"], strides, strict=True
    )
    cuts = [(axis, *cut[1:]) for axis, cut in enumerate(bounds) if cut[1:] != (0, cut[0], 1)]
    if not cuts:
        return x
    if any(not isinstance(number, int) for cut in cuts for number in cut):
        raise UsageError("a part of the batch cannot be written to ONNX; fix the batch")
    return sliced(graph, x, *zip(*cuts, strict=True))


def _reverse(graph: Graph, equation: Any, x: Value) -> str:
    axes = equation.params["dimensions"]
    return sliced(graph, x, axes, [-1] * len(axes), [-(2**62)] * len(axes), [-1] * len(axes))


def _pad(graph: Graph, equation: Any, x: Value, filling: Value) -> Value:
    config = [(int(low), int(high), step) for low, high, step in equation.params["padding_config"]]
    if any(interior for *_, interior in config):
        raise UsageError("a padding between the values cannot be written to ONNX")
    around = [(max(low, 0), max(high, 0)) for low, high, _ in config]
    x = padded(graph, x, around, filling)
    cuts = [(i, -min(low, 0), min(high, 0) or 2**62, 1)
            for i, (low, high, _) in enumerate(config) if min(low, high) < 0]  # fmt: skip
    return sliced(graph, x, *zip(*cuts, strict=True)) if cuts else x


def padded(graph: Graph, x: Value, around: Sequence[tuple[int, int]], filling: Value) -> Value:
    """Pad each axis, unless there is nothing to pad."""
    if not any(map(any, around)):
        return x
    pads = [low for low, _ in around] + [high for _, high in around]
    return graph.add("Pad", x, np.array(pads, np.int64), filling)


def _stack(graph: Graph, equation: Any, *values: Value) -> str:
    axis = np.array([equation.params["axis"]], np.int64)
    return graph.add("Concat", *(graph.add("Unsqueeze", value, axis) for value in values),
                     axis=int(axis[0]))  # fmt: skip


def _unstack(graph: Graph, equation: Any, x: Value) -> list[Value]:
    axis = equation.params["axis"]
    parts = range(len(equation.outvars))
    return [graph.add("Gather", x, np.array(part, np.int64), axis=axis) for part in parts]


def _tile(graph: Graph, equation: Any, x: Value, *_: Value) -> str:
    return graph.add("Tile", x, graph.shape(equation.params["reps"]))


def _any(operator: str, graph: Graph, equation: Any, x: Value) -> str:
    found = _reduce(operator, graph, equation, graph.add("Cast", x, to=code_of(np.int32)))
    return graph.add("Cast", found, to=code_of(bool))


def _size(graph: Graph, equation: Any) -> str:
    """The size of an axis that depends on the batch, as a value."""
    size = graph.add("Squeeze", graph.shape([equation.params["dim"]]))
    return graph.add("Cast", size, to=code_of(equation.outvars[0].aval.dtype))


def _reduce(operator: str, graph: Graph, equation: Any, x: Value) -> str:
    axes = equation.params["axes"]
    if operator == "ReduceSum":
        return graph.add(operator, x, np.array(axes, np.int64), keepdims=0)
    return graph.add(operator, x, axes=[*axes], keepdims=0)


def _argument(operator: str, graph: Graph, equation: Any, x: Value) -> Value:
    (axis,) = equation.params["axes"]
    index = graph.add(operator, x, axis=axis, keepdims=0)
    return graph.add("Cast", index, to=code_of(equation.params["index_dtype"]))


def _cumulative_sum(graph: Graph, equation: Any, x: Value) -> str:
    axis = np.array(equation.params["axis"], np.int64)
    return graph.add("CumSum", x, axis, reverse=int(equation.params["reverse"]))


def _gather(graph: Graph, equation: Any, x: Value, indices: Value) -> Value:
    """Indexing: `x[:, 0, :, 1]`, `x[:, 2:5]` (where its places are known), `x[rows, columns]`."""
    numbers, shape = equation.params["dimension_numbers"], equation.invars[0].aval.shape
    axes, sizes = numbers.start_index_map, equation.params["slice_sizes"]
    single = numbers.collapsed_slice_dims
    kept = [axis for axis in range(len(shape)) if axis not in single]
    whole = all(sizes[axis] == shape[axis] for axis in kept if axis not in axes)
    if isinstance(indices, np.ndarray) and indices.ndim == 1 and whole and {*single} <= {*axes}:
        for axis, index in sorted(zip(axes, indices.tolist(), strict=True), reverse=True):
            if axis in single:
                x = graph.add("Gather", x, np.array(index), axis=axis)
            else:
                x = sliced(graph, x, [axis], [index], [index + sizes[axis]], [1])
        return x
    if numbers.operand_batching_dims or single != axes or not whole:
        raise UsageError("this kind of indexing has no translation to ONNX")
    if isinstance(indices, np.ndarray):
        indices = indices.astype(np.int64)
    else:
        indices = graph.add("Cast", indices, to=code_of(np.int64))
    if equation.params["mode"] != GatherScatterMode.PROMISE_IN_BOUNDS:
        last = np.array([shape[axis] - 1 for axis in axes], np.int64)
        indices = graph.add("Min", graph.add("Max", indices, np.zeros(1, np.int64)), last)
    rank = len(equation.outvars[0].aval.shape)
    found = graph.add("GatherND", graph.transpose(x, [*axes, *kept]), indices)
    lookups = [axis for axis in range(rank) if axis not in numbers.offset_dims]
    return graph.transpose(found, np.argsort([*lookups, *numbers.offset_dims]).tolist())


ARRAYS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _reshape),
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "split": _split,
    "slice": _slice,
    "rev": _reverse,
    "pad": _pad,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _tile,
    "dim_as_value": _size,
    "reduce_or": partial(_any, "ReduceMax"),
    "reduce_and": partial(_any, "ReduceMin"),
    "reduce_sum": partial(_reduce, "ReduceSum"),
    "reduce_max": partial(_reduce, "ReduceMax"),
    "reduce_min": partial(_reduce, "ReduceMin"),
    "reduce_prod": partial(_reduce, "ReduceProd"),
    "argmax": partial(_argument, "ArgMax"),
    "argmin": partial(_argument, "ArgMin"),
    "cumsum": _cumulative_sum,
    "gather": _gather,
}
