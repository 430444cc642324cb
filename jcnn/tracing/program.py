"""A traced function as one flat list of equations, evaluated again with values changed on the way.

`jax.make_jaxpr` gives nested programs: a jitted function is one equation that holds others. Here
they are laid open, so that any intermediate value can be read, or have something added to it and be
differentiated by.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core

# Equations that only hold others; custom derivatives stay whole, to keep their rule.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "remat")


class Constant(NamedTuple):
    """A value that the program itself holds."""

    value: Any


# A place for a value, by number, or a value.
Atom = int | Constant


class Equation(NamedTuple):
    """One operation; `scope` is the name of the innermost jitted function that holds it."""

    primitive: Any
    params: Mapping[str, Any]
    inputs: Sequence[Atom]
    outputs: Sequence[int]
    scope: str

    @property
    def name(self) -> str:
        """The primitive's name."""
        return str(self.primitive.name)


class Program(NamedTuple):
    """Equations in order; places of the inputs and outputs; each place's shape and dtype."""

    equations: Sequence[Equation]
    inputs: Sequence[int]
    outputs: Sequence[Atom]
    avals: Sequence[Any]

    def named(self) -> dict[str, int]:
        """The place behind each `jax.ad_checkpoint.checkpoint_name`."""
        return {
            str(one.params["name"]): one.outputs[0] for one in self.equations if one.name == "name"
        }

    def read_by(self) -> dict[int, list[Equation]]:
        """The equations that read each place."""
        found: dict[int, list[Equation]] = {}
        for one in self.equations:
            for atom in one.inputs:
                if isinstance(atom, int):
                    found.setdefault(atom, []).append(one)
        return found

    def depending_on(self, places: Iterable[int]) -> set[int]:
        """The places whose values follow from these."""
        found = set(places)
        for one in self.equations:
            if any(isinstance(atom, int) and atom in found for atom in one.inputs):
                found.update(one.outputs)
        return found


def flatten(closed: core.ClosedJaxpr) -> Program:
    """The program of `jax.make_jaxpr(...)(...)`, with jitted and rematerialized parts laid open."""
    avals: list[Any] = []
    equations: list[Equation] = []

    def place(variable: Any) -> int:
        avals.append(variable.aval)
        return len(avals) - 1

    def lay_open(
        jaxpr: Any, constants: Sequence[Any], given: Sequence[Atom], scope: str
    ) -> list[Atom]:
        known: dict[Any, Atom] = dict(zip(jaxpr.invars, given, strict=True))
        known |= {v: Constant(c) for v, c in zip(jaxpr.constvars, constants, strict=True)}

        def read(atom: Any) -> Atom:
            return Constant(atom.val) if isinstance(atom, core.Literal) else known[atom]

        for one in jaxpr.eqns:
            inputs = [read(atom) for atom in one.invars]
            if one.primitive.name in _CALLS:
                inner = one.params.get("jaxpr", one.params.get("call_jaxpr"))
                is_closed = hasattr(inner, "consts")
                outputs = lay_open(
                    inner.jaxpr if is_closed else inner,
                    inner.consts if is_closed else [],
                    inputs,
                    str(one.params.get("name", scope)),
                )
            else:
                places = [place(variable) for variable in one.outvars]
                equations.append(Equation(one.primitive, one.params, inputs, places, scope))
                outputs = list(places)
            known |= dict(zip(one.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    inputs = [place(variable) for variable in closed.jaxpr.invars]
    outputs = lay_open(closed.jaxpr, closed.consts, inputs, "")
    return Program(equations, inputs, outputs, avals)


def run(equation: Equation, values: Sequence[Any]) -> list[Any]:
    """What an equation gives for these inputs, with its own derivative rule."""
    params = equation.primitive.get_bind_params(dict(equation.params))
    found = equation.primitive.bind(*values, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def evaluate(
    program: Program,
    inputs: Sequence[Any],
    added: Mapping[int, jax.Array] | None = None,
    instead: Mapping[int, Callable[[Mapping[int, Any]], Any]] | None = None,
) -> dict[int, Any]:
    """The value of every place.

    When those in `added` are reached, that array is added; those in `instead` get what the function
    gives for the values so far.
    """
    added, instead = added or {}, instead or {}
    values: dict[int, Any] = {}

    def put(place: int, value: Any) -> None:
        value = instead[place](values) if place in instead else value
        values[place] = value + added[place] if place in added else value

    for place, value in zip(program.inputs, inputs, strict=True):
        put(place, value)
    for one in program.equations:
        found = run(one, [read(values, atom) for atom in one.inputs])
        for place, value in zip(one.outputs, found, strict=True):
            put(place, value)
    return values


def read(values: Mapping[int, Any], atom: Atom) -> Any:
    """The value of an atom."""
    return atom.value if isinstance(atom, Constant) else values[atom]


def between(program: Program, start: int, stop: int) -> list[Equation]:
    """The equations by which the value at `stop` follows from that at `start`, in order."""
    after = program.depending_on([start])
    needed = {stop}
    found: list[Equation] = []
    for one in reversed(program.equations):
        if needed.intersection(one.outputs) and any(
            isinstance(a, int) and a in after for a in one.inputs
        ):
            found.append(one)
            needed.update(atom for atom in one.inputs if isinstance(atom, int) and atom in after)
    return found[::-1]


def leading_to(program: Program, stop: int, start: int) -> list[Equation]:
    """All equations that the value at `stop` needs once that at `start` is known, in order."""
    needed = {stop}
    found: list[Equation] = []
    for one in reversed(program.equations):
        if needed.intersection(one.outputs) - {start}:
            found.append(one)
            needed.update(atom for atom in one.inputs if isinstance(atom, int) and atom != start)
    return found[::-1]


def inner(equation: Equation) -> Program | None:
    """The program that a custom derivative holds, if the equation is one."""
    if equation.name != "custom_jvp_call":
        return None
    return flatten(equation.params.get("call_jaxpr", equation.params.get("jaxpr")))
