"""Programs of jaxprs: nested functions inlined, short scans unrolled.

`jax.make_jaxpr` returns nested programs: a jitted function is one equation that holds others. Here
these calls are inlined and short scans unrolled, so that every intermediate value has its own
variable, which can be read, replaced, or differentiated with respect to (`jcnn.tracing.evaluate`).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from jcnn.jaxprs import opened, scan_parts
from jcnn.tracing.program import Atom, Constant, Equation, Program, Var

# Equations that only hold others are inlined. Custom derivatives stay whole, to keep their rule.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2", "remat")
# Functions with a custom derivative rule.
_CUSTOM = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
# A scan is unrolled if that results in at most this many equations.
_MOST_UNROLLED = 5000


def flatten(closed: core.ClosedJaxpr) -> Program:
    """Return the program of a jaxpr.

    Jitted and rematerialized functions are inlined, and scans unrolled if that results in at most
    5,000 equations. Functions with custom derivatives, other loops and branches stay single
    equations.

    >>> import jax, jax.numpy as jnp
    >>> program = flatten(jax.make_jaxpr(lambda x: jax.jit(jnp.sin)(x) + 1.0)(1.0))
    >>> [(equation.name, equation.scope) for equation in program.equations]
    [('sin', 'sin'), ('add', '')]
    """
    return _Flattening(closed).program


class _Flattening:
    """A program under construction."""

    def __init__(self, closed: core.ClosedJaxpr) -> None:
        self._avals: list[Any] = []
        self._equations: list[Equation] = []
        self._slices: dict[tuple[Var, tuple[int, ...]], tuple[int, ...]] = {}
        # The input of the program that a variable is a slice of, and its index.
        self._sliced: dict[Var, tuple[Var, tuple[int, ...]]] = {}
        inputs = [self._new(variable) for variable in closed.jaxpr.invars]
        self._sliced.update({variable: (variable, ()) for variable in inputs})
        outputs = self._inline(closed.jaxpr, closed.consts, inputs, "", ())
        self.program = Program(self._equations, inputs, outputs, self._avals, self._slices)

    def _new(self, variable: Any) -> Var:
        self._avals.append(variable.aval)
        return len(self._avals) - 1

    def _inline(
        self,
        jaxpr: Any,
        constants: Sequence[Any],
        arguments: Sequence[Atom],
        scope: str,
        iteration: tuple[int, ...],
    ) -> list[Atom]:
        """Append the equations of `jaxpr`, and return its outputs."""
        atoms: dict[Any, Atom] = dict(zip(jaxpr.invars, arguments, strict=True))
        atoms |= {v: Constant(c) for v, c in zip(jaxpr.constvars, constants, strict=True)}

        def lookup(atom: Any) -> Atom:
            return Constant(atom.val) if isinstance(atom, core.Literal) else atoms[atom]

        for equation in jaxpr.eqns:
            inputs = [lookup(atom) for atom in equation.invars]
            if equation.primitive.name in _CALLS:
                called = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
                outputs = self._inline(
                    *opened(called),
                    inputs,
                    str(equation.params.get("name", scope)),
                    iteration,
                )
            elif equation.primitive.name == "scan" and _is_short(equation):
                outputs = self._unroll(equation, inputs, scope, iteration)
            else:
                variables = [self._new(variable) for variable in equation.outvars]
                self._equations.append(
                    Equation(
                        equation.primitive, equation.params, inputs, variables, scope, iteration
                    )
                )
                outputs = list(variables)
            atoms |= dict(zip(equation.outvars, outputs, strict=True))
        return [lookup(atom) for atom in jaxpr.outvars]

    def _unroll(
        self, equation: Any, inputs: Sequence[Atom], scope: str, outer: tuple[int, ...]
    ) -> list[Atom]:
        """Append the equations of every iteration of a scan, and return the scan's outputs."""
        parts = scan_parts(equation)
        fixed = list(inputs[: parts.constants])
        carry = list(inputs[parts.constants : parts.constants + parts.carried])
        stacked = inputs[parts.constants + parts.carried :]
        rows: list[list[Atom]] = [[] for _ in range(parts.length)]
        for step in range(parts.length):
            index = parts.length - 1 - step if parts.reverse else step
            iteration = (*outer, index)
            slices = [self._slice(atom, index, scope, iteration) for atom in stacked]
            outputs = self._inline(
                parts.body.jaxpr, parts.body.consts, [*fixed, *carry, *slices], scope, iteration
            )
            carry, rows[index] = outputs[: parts.carried], outputs[parts.carried :]
        stacks = [
            self._call(lambda *values: jnp.stack(values), column, scope, outer)
            for column in zip(*rows, strict=True)
        ]
        return [*carry, *stacks]

    def _slice(self, atom: Atom, index: int, scope: str, iteration: tuple[int, ...]) -> Atom:
        """Append the equations for the slice of a stacked input that one iteration reads."""
        if isinstance(atom, Constant):
            return Constant(atom.value[index])
        output = self._call(
            lambda stack: jax.lax.index_in_dim(stack, index, keepdims=False),
            [atom],
            scope,
            iteration,
        )
        if atom in self._sliced and isinstance(output, Var):
            source, indices = self._sliced[atom]
            self._sliced[output] = source, (*indices, index)
            self._slices[source, iteration] = (*indices, index)
        return output

    def _call(
        self, function: Any, atoms: Sequence[Atom], scope: str, iteration: tuple[int, ...]
    ) -> Atom:
        avals = [
            jax.typeof(atom.value) if isinstance(atom, Constant) else self._avals[atom]
            for atom in atoms
        ]
        closed = jax.make_jaxpr(function)(
            *(jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals)
        )
        (output,) = self._inline(closed.jaxpr, closed.consts, atoms, scope, iteration)
        return output


def _is_short(equation: Any) -> bool:
    return bool(_size(equation.params["jaxpr"].jaxpr) * equation.params["length"] <= _MOST_UNROLLED)


def _size(jaxpr: Any) -> int:
    """Return the number of equations of a jaxpr, with those that are inlined or unrolled."""
    size = 0
    for equation in jaxpr.eqns:
        body = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if equation.primitive.name in (*_CALLS, "scan") and body is not None:
            size += _size(getattr(body, "jaxpr", body)) * equation.params.get("length", 1)
        else:
            size += 1
    return size


def custom_body(equation: Equation) -> Program | None:
    """Return the program of a function with custom derivatives; None for any other equation."""
    if equation.name not in _CUSTOM:
        return None
    closed = next(
        equation.params[name]
        for name in ("call_jaxpr", "fun_jaxpr", "jaxpr")
        if name in equation.params
    )
    if not hasattr(closed, "consts"):
        closed = core.ClosedJaxpr(closed, ())
    return flatten(closed)
