"""Primitives that compute each value alone, in ONNX's operators."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from jax import lax

from jcnn.errors import UsageError
from jcnn.export.onnx.dtypes import code_of, dtype_of
from jcnn.export.onnx.graph import Graph, Value

_SIMPLE = {
    "add": "Add",
    "add_any": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "neg": "Neg",
    "abs": "Abs",
    "sign": "Sign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "erf": "Erf",
    "floor": "Floor",
    "ceil": "Ceil",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "eq": "Equal",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "and": "And",
    "or": "Or",
    "xor": "Xor",
    "not": "Not",
    "pow": "Pow",
}
_UNCHANGED = (
    *("stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier"),
    *("sharding_constraint", "layout_constraint", "name", "pvary"),
)


def _simple(operator: str, graph: Graph, equation: Any, *values: Value) -> str:
    return graph.add(operator, *values)


def _unchanged(graph: Graph, equation: Any, *values: Value) -> list[Value]:
    return list(values)


def _one(equation: Any, value: float | int) -> np.ndarray:
    return np.array(value, dtype_of(equation.invars[0].aval.dtype))


def _ne(graph: Graph, equation: Any, a: Value, b: Value) -> str:
    return graph.add("Not", graph.add("Equal", a, b))


def _rsqrt(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Reciprocal", graph.add("Sqrt", x))


def _square(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Mul", x, x)


def _log1p(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Log", graph.add("Add", x, _one(equation, 1)))


def _expm1(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Sub", graph.add("Exp", x), _one(equation, 1))


def _exp2(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Pow", _one(equation, 2), x)


def _cbrt(graph: Graph, equation: Any, x: Value) -> str:
    root = graph.add("Pow", graph.add("Abs", x), _one(equation, 1 / 3))
    return graph.add("Mul", graph.add("Sign", x), root)


def _erfc(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Sub", _one(equation, 1), graph.add("Erf", x))


def _integer_pow(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Pow", x, _one(equation, equation.params["y"]))


def _remainder(graph: Graph, equation: Any, a: Value, b: Value) -> str:
    return graph.add("Mod", a, b, fmod=1)


def _round(graph: Graph, equation: Any, x: Value) -> str:
    if equation.params["rounding_method"] == lax.RoundingMethod.TO_NEAREST_EVEN:
        return graph.add("Round", x)
    half = graph.add("Floor", graph.add("Add", graph.add("Abs", x), _one(equation, 0.5)))
    return graph.add("Mul", graph.add("Sign", x), half)


def _clamp(graph: Graph, equation: Any, low: Value, x: Value, high: Value) -> str:
    return graph.add("Min", graph.add("Max", x, low), high)


def _is_finite(graph: Graph, equation: Any, x: Value) -> str:
    return graph.add("Less", graph.add("Abs", x), _one(equation, math.inf))


def _select(graph: Graph, equation: Any, which: Value, *cases: Value) -> Value:
    if equation.invars[0].aval.dtype != bool:
        raise UsageError("a choice between more than two values cannot be written to ONNX")
    return graph.add("Where", which, cases[1], cases[0])


def _cast(graph: Graph, equation: Any, x: Value) -> Value:
    dtype = dtype_of(equation.params["new_dtype"])
    if dtype_of(equation.invars[0].aval.dtype) == dtype:
        return x
    return graph.add("Cast", x, to=code_of(dtype))


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{name: partial(_simple, operator) for name, operator in _SIMPLE.items()},
    **dict.fromkeys(_UNCHANGED, _unchanged),
    "ne": _ne,
    "rsqrt": _rsqrt,
    "square": _square,
    "log1p": _log1p,
    "expm1": _expm1,
    "exp2": _exp2,
    "cbrt": _cbrt,
    "erfc": _erfc,
    "rem": _remainder,
    "integer_pow": _integer_pow,
    "round": _round,
    "clamp": _clamp,
    "is_finite": _is_finite,
    "select_n": _select,
    "convert_element_type": _cast,
}
