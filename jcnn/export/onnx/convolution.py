"""Products, convolutions and pooling in ONNX's operators, which have the channels first."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from jcnn.errors import UsageError
from jcnn.export.onnx.arrays import padded, sliced
from jcnn.export.onnx.dtypes import dtype_of
from jcnn.export.onnx.graph import Graph, Value


def _dot(graph: Graph, equation: Any, a: Value, b: Value) -> Value:
    first, second = (atom.aval for atom in equation.invars)
    numbers = equation.params["dimension_numbers"]
    if second.ndim == 2 and numbers == (((first.ndim - 1,), (0,)), ((), ())):
        return graph.add("MatMul", a, b)
    return graph.einsum(a, b, numbers, (first.ndim, second.ndim))


def _conv(graph: Graph, equation: Any, x: Value, kernel: Value) -> Value:
    parameters, numbers = equation.params, equation.params["dimension_numbers"]
    if parameters["batch_group_count"] != 1:
        raise UsageError("a convolution in groups of the batch cannot be written to ONNX")
    x, kernel = graph.transpose(x, numbers.lhs_spec), graph.transpose(kernel, numbers.rhs_spec)
    pads, dilations = parameters["padding"], parameters["rhs_dilation"]
    groups, strides = parameters["feature_group_count"], parameters["window_strides"]
    window = [equation.invars[1].aval.shape[axis] for axis in numbers.rhs_spec[2:]]
    if any(step != 1 for step in parameters["lhs_dilation"]):
        reach = [(size - 1) * step for size, step in zip(window, dilations, strict=True)]
        pads = [(r - low, r - high) for r, (low, high) in zip(reach, pads, strict=True)]
        if groups != 1 or any(step != 1 for step in strides):
            raise UsageError("a transposed convolution with strides or groups has no ONNX form")
        flipped = [-1] * len(window)
        axes = range(2, 2 + len(window))
        kernel = graph.transpose(kernel, (1, 0, *axes))
        kernel = sliced(graph, kernel, axes, flipped, [-(2**62)] * len(window), flipped)
        operator, strides = "ConvTranspose", parameters["lhs_dilation"]
    else:
        operator = "Conv"
    cut = [(max(-low, 0), max(-high, 0)) for low, high in pads]
    if any(map(any, cut)) and operator == "Conv":
        raise UsageError("a convolution with negative padding has no ONNX form")
    outer = [(max(low, 0), max(high, 0)) for low, high in pads]
    y: Value = graph.add(
        operator, x, kernel, strides=[*strides], dilations=[*dilations], group=groups,
        pads=[low for low, _ in outer] + [high for _, high in outer],
    )  # fmt: skip
    if any(map(any, cut)):
        around = [(0, 0), (0, 0), *cut]
        y = padded(graph, y, around, np.zeros((), np.float32))
    return graph.transpose(y, np.argsort(numbers.out_spec).tolist())


def _window(kind: str, graph: Graph, equation: Any, x: Value) -> Value:
    """A maximum, minimum or sum over windows of the axes between the first and the last."""
    parameters, dtype = equation.params, dtype_of(equation.invars[0].aval.dtype)
    size, strides = parameters["window_dimensions"], parameters["window_strides"]
    dilations, around = parameters["window_dilation"], parameters["padding"]
    rank = len(size)
    outer = [(size[i], strides[i], tuple(around[i])) for i in (0, rank - 1)]
    if outer != [(1, 1, (0, 0))] * 2 or any(step != 1 for step in parameters["base_dilation"]):
        raise UsageError("a pooling over batch or channels has no ONNX form")
    if kind == "sum" and any(step != 1 for step in dilations):
        raise UsageError("a sum over dilated windows has no ONNX form in this version")
    filling = {"max": -math.inf, "min": -math.inf, "sum": 0.0}[kind]
    order = [0, rank - 1, *range(1, rank - 1)]
    inside = slice(1, rank - 1)
    x = graph.add("Neg", x) if kind == "min" else x
    x = padded(graph, x, around, np.array(filling, dtype))
    options: dict[str, Any] = {"kernel_shape": [*size[inside]], "strides": [*strides[inside]]}
    x = graph.transpose(x, order)
    if kind == "sum":
        mean = graph.add("AveragePool", x, **options)
        y = graph.add("Mul", mean, np.array(math.prod(size), dtype))
    else:
        y = graph.add("MaxPool", x, dilations=[*dilations[inside]], **options)
        y = graph.add("Neg", y) if kind == "min" else y
    return graph.transpose(y, np.argsort(order).tolist())


PRODUCTS_AND_WINDOWS: dict[str, Callable[..., Any]] = {
    "dot_general": _dot,
    "conv_general_dilated": _conv,
    "reduce_window_max": partial(_window, "max"),
    "reduce_window_min": partial(_window, "min"),
    "reduce_window_sum": partial(_window, "sum"),
}
