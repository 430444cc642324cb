"""The interpreter of programs: run equations, with values replaced or offset along the way."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jcnn.jaxprs import bind
from jcnn.tracing.program import Atom, Constant, Equation, Program, Var

# How an equation is run: `rule(equation, values) -> outputs`, where `values` holds the value of
# every variable computed so far.
Rule = Callable[[Equation, Mapping[Var, Any]], Sequence[Any]]


def read(values: Mapping[Var, Any], atom: Atom) -> Any:
    """Return the value of a variable or constant.

    >>> read({0: "the value of variable 0"}, 0)
    'the value of variable 0'
    """
    return atom.value if isinstance(atom, Constant) else values[atom]


def run_equation(equation: Equation, values: Mapping[Var, Any]) -> list[Any]:
    """Return the outputs of one equation; the rule unless another is given.

    >>> import jax.numpy as jnp
    >>> from jcnn.tracing import flatten
    >>> (sine,) = flatten(jax.make_jaxpr(jnp.sin)(0.0)).equations
    >>> [float(value) for value in run_equation(sine, {sine.inputs[0]: 0.0})]
    [0.0]
    """
    return bind(equation, [read(values, atom) for atom in equation.inputs])


def run_equations(
    equations: Iterable[Equation], values: Mapping[Var, Any], rule: Rule = run_equation
) -> dict[Var, Any]:
    """Return `values` together with the outputs of `equations`, each of which is run by `rule`.

    >>> import jax.numpy as jnp
    >>> from jcnn.tracing import flatten
    >>> program = flatten(jax.make_jaxpr(lambda x: jnp.sin(x) + 1.0)(0.0))
    >>> values = run_equations(program.equations, {program.inputs[0]: 0.0})
    >>> float(values[program.outputs[0]])
    1.0
    """
    computed = dict(values)
    for equation in equations:
        computed.update(zip(equation.outputs, rule(equation, computed), strict=True))
    return computed


def evaluate(
    program: Program,
    inputs: Sequence[Any],
    *,
    offsets: Mapping[Var, jax.Array] | None = None,
    replace: Mapping[Var, Callable[[Mapping[Var, Any]], Any]] | None = None,
) -> dict[Var, Any]:
    """Run a program and return the value of every variable.

    A variable in `replace` gets what its function returns for the values computed so far; a
    variable in `offsets` has that array added. All that follows sees the changed value, so that
    the derivative with respect to an offset of zeros is that with respect to the variable.

    >>> import jax.numpy as jnp
    >>> from jcnn.tracing import flatten
    >>> program = flatten(jax.make_jaxpr(lambda x: jnp.sin(x) * 3.0)(0.0))
    >>> sine, output = program.equations[0].outputs[0], program.outputs[0]
    >>> jax.grad(lambda offset: evaluate(program, [0.5], offsets={sine: offset})[output])(0.0)
    Array(3., dtype=float32, weak_type=True)
    """
    offsets, replace = offsets or {}, replace or {}

    def changed(variable: Var, value: Any, values: Mapping[Var, Any]) -> Any:
        value = replace[variable](values) if variable in replace else value
        return value + offsets[variable] if variable in offsets else value

    def rule(equation: Equation, values: Mapping[Var, Any]) -> list[Any]:
        outputs = run_equation(equation, values)
        return [
            changed(variable, value, values)
            for variable, value in zip(equation.outputs, outputs, strict=True)
        ]

    values: dict[Var, Any] = {}
    for variable, value in zip(program.inputs, inputs, strict=True):
        values[variable] = changed(variable, value, values)
    return run_equations(program.equations, values, rule)
