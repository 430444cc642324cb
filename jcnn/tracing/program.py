"""A traced function as one flat list of equations.

`jcnn.tracing.flatten` makes a `Program` of a jaxpr.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# A variable of a program, by its number.
Var = int


class Constant(NamedTuple):
    """A value that is part of the program: a literal or a captured array."""

    value: Any


# What an equation reads.
Atom = Var | Constant


class Equation(NamedTuple):
    """One application of a primitive.

    `scope` is the name of the innermost enclosing `jax.jit`; `iteration` holds the iterations of
    the enclosing scans, outermost first.
    """

    primitive: Any
    params: Mapping[str, Any]
    inputs: Sequence[Atom]
    outputs: Sequence[Var]
    scope: str
    iteration: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The primitive's name."""
        return str(self.primitive.name)

    def variables(self) -> list[Var]:
        """The variables among the inputs."""
        return [atom for atom in self.inputs if isinstance(atom, Var)]


class Program(NamedTuple):
    """Equations in order of execution; `avals` holds each variable's shape and dtype.

    `slices` has, for each iteration of an unrolled scan and each input of the program that the scan
    slices, the index of the slice along the input's first axes.
    """

    equations: Sequence[Equation]
    inputs: Sequence[Var]
    outputs: Sequence[Atom]
    avals: Sequence[Any]
    slices: Mapping[tuple[Var, tuple[int, ...]], tuple[int, ...]]

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


def equations_between(program: Program, start: Var, stop: Var) -> list[Equation]:
    """Return the equations on the paths from `start` to `stop`, in order.

    Equations for what they read in addition, such as weights, are not among them.

    >>> import jax, jax.numpy as jnp
    >>> from jcnn.tracing import flatten
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
