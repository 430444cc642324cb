"""A traced function as one flat list of equations.

`jax.make_jaxpr` returns nested programs: a jitted function is one equation that holds others. Here
these calls are inlined, so that every intermediate value has its own variable, which can be read,
replaced, or differentiated with respect to (`jcnn.tracing.evaluate`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend import core

# Equations that only hold others are inlined. Custom derivatives stay whole, to keep their rule.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "remat")

# A variable of a program, by its number.
Var = int


class Constant(NamedTuple):
    """A value that is part of the program: a literal or a captured array."""

    value: Any


# What an equation reads.
Atom = Var | Constant


class Equation(NamedTuple):
    """One application of a primitive; `scope` is the name of the innermost enclosing `jax.jit`."""

    primitive: Any
    params: Mapping[str, Any]
    inputs: Sequence[Atom]
    outputs: Sequence[Var]
    scope: str

    @property
    def name(self) -> str:
        """The primitive's name."""
        return str(self.primitive.name)

    def variables(self) -> list[Var]:
        """The variables among the inputs."""
        return [atom for atom in self.inputs if isinstance(atom, Var)]


class Program(NamedTuple):
    """Equations in order of execution; `avals` holds each variable's shape and dtype."""

    equations: Sequence[Equation]
    inputs: Sequence[Var]
    outputs: Sequence[Atom]
    avals: Sequence[Any]

    def named_variables(self) -> dict[str, Var]:
        """The variables that `jax.ad_checkpoint.checkpoint_name` has named, by that name."""
        return {
            str(equation.params["name"]): equation.outputs[0]
            for equation in self.equations
            if equation.name == "name"
        }

    def positions(self) -> dict[Var, int]:
        """The index of the equation that computes each variable; inputs have none."""
        return {
            variable: index
            for index, equation in enumerate(self.equations)
            for variable in equation.outputs
        }

    def readers(self) -> dict[Var, list[Equation]]:
        """The equations that read each variable."""
        readers: dict[Var, list[Equation]] = {}
        for equation in self.equations:
            for variable in equation.variables():
                readers.setdefault(variable, []).append(equation)
        return readers

    def dependents(self, variables: Iterable[Var]) -> set[Var]:
        """The given variables and all that depend on them."""
        dependents = set(variables)
        for equation in self.equations:
            if not dependents.isdisjoint(equation.variables()):
                dependents.update(equation.outputs)
        return dependents


def flatten(closed: core.ClosedJaxpr) -> Program:
    """Return the program of a jaxpr, with jitted and rematerialized functions inlined.

    Functions with custom derivatives and control flow (loops, branches) stay single equations.

    >>> import jax, jax.numpy as jnp
    >>> program = flatten(jax.make_jaxpr(lambda x: jax.jit(jnp.sin)(x) + 1.0)(1.0))
    >>> [(equation.name, equation.scope) for equation in program.equations]
    [('sin', 'sin'), ('add', '')]
    """
    avals: list[Any] = []
    equations: list[Equation] = []

    def new_variable(variable: Any) -> Var:
        avals.append(variable.aval)
        return len(avals) - 1

    def inline(
        jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Atom], scope: str
    ) -> list[Atom]:
        atoms: dict[Any, Atom] = dict(zip(jaxpr.invars, arguments, strict=True))
        atoms |= {v: Constant(c) for v, c in zip(jaxpr.constvars, constants, strict=True)}

        def lookup(atom: Any) -> Atom:
            return Constant(atom.val) if isinstance(atom, core.Literal) else atoms[atom]

        for equation in jaxpr.eqns:
            inputs = [lookup(atom) for atom in equation.invars]
            if equation.primitive.name in _CALLS:
                called = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                is_closed = hasattr(called, "consts")
                outputs = inline(
                    called.jaxpr if is_closed else called,
                    called.consts if is_closed else [],
                    inputs,
                    str(equation.params.get("name", scope)),
                )
            else:
                variables = [new_variable(variable) for variable in equation.outvars]
                equations.append(
                    Equation(equation.primitive, equation.params, inputs, variables, scope)
                )
                outputs = list(variables)
            atoms |= dict(zip(equation.outvars, outputs, strict=True))
        return [lookup(atom) for atom in jaxpr.outvars]

    inputs = [new_variable(variable) for variable in closed.jaxpr.invars]
    outputs = inline(closed.jaxpr, closed.consts, inputs, "")
    return Program(equations, inputs, outputs, avals)


def equations_between(program: Program, start: Var, stop: Var) -> list[Equation]:
    """Return the equations on the paths from `start` to `stop`, in order.

    Equations for what they read in addition, such as weights, are not among them.

    >>> import jax, jax.numpy as jnp
    >>> program = flatten(jax.make_jaxpr(lambda x, w: jnp.sin(x) * jnp.exp(w))(1.0, 2.0))
    >>> (x, w), product = program.inputs, program.outputs[0]
    >>> [equation.name for equation in equations_between(program, x, product)]
    ['sin', 'mul']
    >>> [equation.name for equation in equations_up_to(program, product, given=x)]
    ['sin', 'exp', 'mul']
    """
    dependents = program.dependents([start])
    needed = {stop}
    equations: list[Equation] = []
    for equation in reversed(program.equations):
        moving = dependents.intersection(equation.variables())
        if moving and needed.intersection(equation.outputs):
            equations.append(equation)
            needed.update(moving)
    return equations[::-1]


def equations_up_to(program: Program, stop: Var, *, given: Var) -> list[Equation]:
    """Return all equations that compute `stop` once the value of `given` is known, in order."""
    needed = {stop}
    equations: list[Equation] = []
    for equation in reversed(program.equations):
        if needed.intersection(equation.outputs) - {given}:
            equations.append(equation)
            needed.update(variable for variable in equation.variables() if variable != given)
    return equations[::-1]


def custom_jvp_body(equation: Equation) -> Program | None:
    """Return the program of a function with a custom JVP; None for any other equation."""
    if equation.name != "custom_jvp_call":
        return None
    return flatten(equation.params.get("call_jaxpr", equation.params.get("jaxpr")))
