"""Find activations in a traced program: values that are a function of one other value, elementwise.

Nothing is required of the model: `nnx.relu(x)`, `x * jax.nn.sigmoid(x)` or any other function is
recognized by its equations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jcnn.tracing.activation import TracedActivation
from jcnn.tracing.calls import is_mark
from jcnn.tracing.flatten import custom_body
from jcnn.tracing.program import Atom, Constant, Equation, Program, Var, equations_up_to

# fmt: off
_LINEAR = frozenset((
    "add", "add_any", "broadcast_in_dim", "convert_element_type", "copy", "mul", "name", "neg",
    "reduce_precision", "sub",
))
# Steps of normalization, softmax and pooling; no activation consists of these alone.
_AUXILIARY = frozenset((
    "abs", "div", "exp", "exp2", "integer_pow", "is_finite", "log", "pow", "rsqrt", "sign", "sqrt",
    "square", "stop_gradient",
))
_CHARACTERISTIC = frozenset((
    "acos", "acosh", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clamp",
    "cos", "cosh", "custom_jvp_call", "custom_vjp_call", "eq", "erf", "erf_inv", "erfc", "expm1",
    "floor", "ge", "gt", "le", "lgamma", "log1p", "logistic", "lt", "max", "min", "ne", "not", "or",
    "rem", "round", "select_n", "sin", "sinh", "tan", "tanh", "xor",
))
_NONLINEAR = _AUXILIARY | _CHARACTERISTIC
_MOVES = frozenset((
    "convert_element_type", "copy", "pad", "reshape", "slice", "squeeze", "transpose",
))
# fmt: on


class _Source(NamedTuple):
    """The variable that an elementwise value is a function of, and whether nonlinearly."""

    root: Var
    nonlinear: bool


def find_activations(program: Program, data: Sequence[Var]) -> list[TracedActivation]:
    """Return the activations applied to values that depend on `data`, in order of execution.

    >>> import jax
    >>> from jcnn.tracing import flatten
    >>> program = flatten(jax.make_jaxpr(lambda x: 2 * jax.nn.relu(x))(jnp.ones(3)))
    >>> [activation.name() for activation in find_activations(program, program.inputs)]
    ['relu']
    """
    dependents = program.dependents(data)
    sources: dict[Var, _Source] = {}
    uniform: set[Var] = set()

    def is_scalar(atom: Atom) -> bool:
        """Whether all its elements are one number that does not depend on the data."""
        if isinstance(atom, Constant):
            return np.size(atom.value) == 1
        return atom in uniform or (
            math.prod(program.avals[atom].shape) == 1 and atom not in dependents
        )

    for equation in program.equations:
        (output, *others) = equation.outputs
        if others or is_mark(equation):
            continue
        varying = [atom for atom in equation.inputs if not is_scalar(atom)]
        if not varying:
            if equation.name == "broadcast_in_dim":
                uniform.add(output)
            continue
        variables = [atom for atom in varying if isinstance(atom, Var)]
        operands = {sources.get(variable, _Source(variable, False)) for variable in variables}
        if len(variables) < len(varying) or len({source.root for source in operands}) != 1:
            continue
        root = next(iter(operands)).root
        aval = program.avals[root]
        if root not in dependents or program.avals[output].shape != aval.shape:
            continue
        if not jnp.issubdtype(aval.dtype, jnp.floating):
            continue
        if _is_elementwise(equation):
            scales = equation.name == "div" and is_scalar(equation.inputs[1])
            bends = equation.name in _NONLINEAR and not scales
            nonlinear = bends or any(source.nonlinear for source in operands)
            sources[output] = _Source(root, nonlinear)
    return _first_of_each_root(program, sources, is_scalar)


def _is_elementwise(equation: Equation) -> bool:
    body = custom_body(equation)
    if body is not None:
        return len(equation.outputs) == 1 and all(map(_is_elementwise, body.equations))
    return equation.name in _LINEAR or equation.name in _NONLINEAR


def _first_of_each_root(
    program: Program, sources: Mapping[Var, _Source], is_scalar: Callable[[Atom], bool]
) -> list[TracedActivation]:
    """Return, for each root, the first nonlinear value that is used outside the function itself."""
    readers = program.readers()
    ends = {atom for atom in program.outputs if isinstance(atom, Var)}
    activations: dict[Var, TracedActivation] = {}
    for output, (root, nonlinear) in sources.items():
        # A value that is only used to compute others of the same root is an intermediate step.
        is_step = all(
            sources.get(reader.outputs[0], _Source(-1, False)).root == root
            for reader in readers.get(output, ())
        )
        if not nonlinear or (is_step and output not in ends):
            continue
        if program.avals[output].dtype == jnp.bool_ or root in activations:
            continue
        aval = program.avals[root]
        equations = equations_up_to(program, output, given=root)
        inside = {root, *(equation.outputs[0] for equation in equations)}
        if any(e.name in _CHARACTERISTIC or _divides(e, inside, is_scalar) for e in equations):
            activation = TracedActivation(root, output, equations, aval.shape, aval.dtype)
            pooled = _is_pooled(program, output, readers)
            activations[root] = _without_what_follows(activation, sources, pooled)
    positions = program.positions()
    return sorted(activations.values(), key=lambda activation: positions[activation.output])


def _is_pooled(program: Program, variable: Var, readers: Mapping[Var, Sequence[Equation]]) -> bool:
    """Whether what reads a variable (slices and reshapes aside) reduces it, and nothing else."""
    size = math.prod(program.avals[variable].shape)
    pending = list(readers.get(variable, ()))
    shrinks = False
    while pending:
        equation = pending.pop()
        if equation.name in _MOVES:
            pending += readers.get(equation.outputs[0], ())
        elif math.prod(program.avals[equation.outputs[0]].shape) < size:
            if len(equation.variables()) > 1:
                return False
            shrinks = True
    return shrinks


def _without_what_follows(
    whole: TracedActivation, sources: Mapping[Var, _Source], pooled: bool
) -> TracedActivation:
    """Return the activation of `jcnn.activations` that `whole` only scales or shifts, if any.

    Dropout, for example, scales its input. If the values are pooled next, nonlinear steps after
    the activation, such as the squares of L2 pooling, belong to the pooling.
    """
    computed_by = {equation.outputs[0]: equation for equation in whole.equations}
    following = (*_LINEAR, "div", *(_NONLINEAR if pooled else ()))
    part = whole
    while part.catalogue_name() is None:
        last = computed_by[part.output]
        operands = [variable for variable in last.variables() if variable in sources]
        if last.name not in following or len(operands) != 1 or not sources[operands[0]].nonlinear:
            return whole
        end = whole.equations.index(computed_by[operands[0]]) + 1
        part = replace(part, output=operands[0], equations=whole.equations[:end])
    return part


def _divides(equation: Equation, inside: set[Var], is_scalar: Callable[[Atom], bool]) -> bool:
    """Whether the equation divides by a value that depends on the root."""
    if equation.name != "div":
        return False
    divisor = equation.inputs[1]
    return isinstance(divisor, Var) and not is_scalar(divisor) and divisor in inside
