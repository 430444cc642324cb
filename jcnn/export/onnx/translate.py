"""The translation of a jaxpr into an ONNX graph."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr

from jcnn.convolution._bilinear import conv_p
from jcnn.convolution._plain import plain
from jcnn.errors import UsageError
from jcnn.export.onnx.arrays import ARRAYS
from jcnn.export.onnx.convolution import PRODUCTS_AND_WINDOWS
from jcnn.export.onnx.elementwise import ELEMENTWISE
from jcnn.export.onnx.graph import Graph, Value

TRANSLATIONS = {**ELEMENTWISE, **ARRAYS, **PRODUCTS_AND_WINDOWS}
"""The translations by the name of the primitive: `(graph, equation, *values) -> outputs`."""

# Primitives that call a jaxpr, and the parameter that holds it.
_INLINED = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
}


def translate(graph: Graph, closed: ClosedJaxpr, values: Sequence[Value]) -> list[Value]:
    """Add a jaxpr to a graph, and return its outputs.

    What depends on constants alone is computed now. Raises UsageError for a primitive without a
    translation.
    """
    known: dict[Any, Value] = {}
    known.update(zip(closed.jaxpr.constvars, map(_array, closed.consts), strict=True))
    known.update(zip(closed.jaxpr.invars, values, strict=True))

    def read(atom: Any) -> Value:
        if hasattr(atom, "val"):
            return np.asarray(atom.val, atom.aval.dtype)
        return known[atom]

    for equation in closed.jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        known.update(zip(equation.outvars, _outputs(graph, equation, inputs), strict=True))
    return [read(atom) for atom in closed.jaxpr.outvars]


def _outputs(graph: Graph, equation: Any, inputs: list[Value]) -> list[Value]:
    name = equation.primitive.name
    if name in _INLINED:
        inner = equation.params[_INLINED[name]]
        closed = inner if hasattr(inner, "jaxpr") else ClosedJaxpr(inner, ())
        return translate(graph, closed, inputs)
    if name == conv_p.name:
        closed = jax.make_jaxpr(partial(plain, **equation.params))(
            *(jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in equation.invars)
        )
        return translate(graph, closed, inputs)
    known = not any(isinstance(value, str) for value in inputs) and _is_fixed(equation)
    if known and name != "dim_as_value":
        return _computed(equation, inputs)
    if name not in TRANSLATIONS:
        raise UsageError(
            f"the operation {name} of this network has no translation to ONNX; fix "
            "the batch (batch, --batch) if it depends on its size, or write .stablehlo"
        )
    outputs = TRANSLATIONS[name](graph, equation, *inputs)
    return outputs if isinstance(outputs, list) else [outputs]


def _is_fixed(equation: Any) -> bool:
    """Whether the shapes do not depend on the batch."""
    return all(isinstance(size, int) for out in equation.outvars for size in out.aval.shape)


def _computed(equation: Any, inputs: Sequence[Any]) -> list[Value]:
    outputs = equation.primitive.bind(*map(jnp.asarray, inputs), **equation.params)
    outputs = outputs if equation.primitive.multiple_results else [outputs]
    return [_array(output) for output in outputs]


def _array(value: Any) -> Any:
    """An array of NumPy; keys of random numbers stay as they are."""
    is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    return value if is_key else np.asarray(value)
