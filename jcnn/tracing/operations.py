"""The number of multiplications and additions of a program."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jcnn.tracing.flatten import flatten
from jcnn.tracing.program import Constant, Equation, Program

# Equations that only move or name values, or make constants.
_FREE = frozenset((
    "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dynamic_slice",
    "dynamic_update_slice", "gather", "iota", "name", "optimization_barrier", "pad", "pvary",
    "random_bits", "random_fold_in", "random_seed", "random_split", "random_unwrap", "random_wrap",
    "reshape", "rev", "scatter", "select_n", "slice", "split", "squeeze", "stop_gradient",
    "transpose",
))  # fmt: skip


def count_operations(program: Program, equations: Iterable[Equation] | None = None) -> float:
    """Return the floating-point operations of a program, or of some of its equations.

    A multiplication and an addition are two operations, any other function of an element is one. A
    convolution counts the positions of its window that lie within the input, not those in the
    padding. The body of a loop counts once per iteration, of a `while` once, and of the branches of
    a `cond` that with the most operations.

    >>> import jax, jax.numpy as jnp
    >>> x, w = jnp.ones((8, 3)), jnp.ones((3, 4))
    >>> count_operations(flatten(jax.make_jaxpr(lambda x, w: jnp.tanh(x @ w))(x, w)))
    224.0
    """
    chosen = program.equations if equations is None else equations
    return sum(_operations(program, equation) for equation in chosen)


def _operations(program: Program, equation: Equation) -> float:
    def shape(atom: Any) -> tuple[int, ...]:
        return np.shape(atom.value) if isinstance(atom, Constant) else program.avals[atom].shape

    inputs = [shape(atom) for atom in equation.inputs]
    output = program.avals[equation.outputs[0]].shape if equation.outputs else ()
    params = equation.params
    if equation.name in _FREE:
        return 0.0
    if equation.name in ("conv_general_dilated", "jcnn_conv"):
        return _convolution(equation, inputs)
    if equation.name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2.0 * math.prod(output) * math.prod(inputs[0][axis] for axis in contracted)
    if equation.name.startswith("reduce_window"):
        return float(math.prod(output) * math.prod(params["window_dimensions"]))
    if equation.name.startswith("jcnn_window"):
        windows = math.prod(axis.size for axis in params["axes"])
        return float(min(map(math.prod, (output, inputs[0]))) * windows)
    if equation.name.startswith(("reduce", "arg", "cum", "sort")):
        return float(math.prod(inputs[0]))
    bodies = [count_operations(flatten(body)) for body in _bodies(params)]
    if bodies:
        return max(bodies) * params.get("length", 1)
    return float(math.prod(output))


def _bodies(params: Any) -> list[Any]:
    """Return the programs that an equation holds."""
    values = [value for name, value in params.items() if "jaxpr" in name or name == "branches"]
    bodies = [body for value in values for body in (value if isinstance(value, tuple) else [value])]
    return [body for body in bodies if hasattr(body, "jaxpr")]


def _convolution(equation: Equation, inputs: Sequence[tuple[int, ...]]) -> float:
    params = equation.params
    if equation.name == "jcnn_conv":
        geometry = params["geometry"]
        taps = _taps(
            geometry.spatial, geometry.window, geometry.out_spatial, geometry.strides,
            geometry.dilation, (1,) * len(geometry.window), geometry.padding,
        )  # fmt: skip
        # Each of the three maps sums over the same triples of input, weight and output.
        models, batch = inputs[0][:2]
        features_in, features_out = _features(params["result"], inputs)
        return 2.0 * models * batch * taps * features_in * features_out
    numbers = params["dimension_numbers"]
    lhs, rhs = inputs
    spatial = [lhs[axis] for axis in numbers.lhs_spec[2:]]
    window = [rhs[axis] for axis in numbers.rhs_spec[2:]]
    taps = _taps(
        spatial, window, None, params["window_strides"], params["rhs_dilation"],
        params["lhs_dilation"], params["padding"],
    )  # fmt: skip
    batch = lhs[numbers.lhs_spec[0]] // params["batch_group_count"]
    return 2.0 * batch * taps * rhs[numbers.rhs_spec[0]] * rhs[numbers.rhs_spec[1]]


def _features(result: str, inputs: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    """Return the numbers of input and output features of one of the maps of a convolution."""
    first, second = inputs
    if result == "kernel":
        return first[-1], second[-1]
    return second[-2], second[-1]


def _taps(
    spatial: Sequence[int],
    window: Sequence[int],
    outputs: Sequence[int] | None,
    strides: Sequence[int],
    dilation: Sequence[int],
    input_dilation: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> int:
    """Return the number of pairs of an output and a position of its window inside the input."""
    taps = 1
    for i, size in enumerate(spatial):
        extent = (size - 1) * input_dilation[i] + 1
        reach = (window[i] - 1) * dilation[i] + 1
        low, high = padding[i]
        count = outputs[i] if outputs else (extent + low + high - reach) // strides[i] + 1
        starts = np.arange(max(count, 0)) * strides[i] - low
        positions = starts[:, None] + np.arange(window[i]) * dilation[i]
        inside = (positions >= 0) & (positions < extent) & (positions % input_dilation[i] == 0)
        taps *= int(inside.sum())
    return taps
