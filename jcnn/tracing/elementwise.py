"""Activations found in a traced program: where each element follows from one other by one function.

Nothing is asked of the model: `nnx.relu(x)`, `x * jax.nn.sigmoid(x)` or an activation of one's own
is recognised by its equations.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.activations import ACTIVATIONS, Facts, facts
from jcnn.tracing.program import Atom, Constant, Equation, Program, inner, read, run

# fmt: off
_LINEAR = frozenset((
    "add", "add_any", "broadcast_in_dim", "convert_element_type", "copy", "mul", "name", "neg",
    "reduce_precision", "sub",
))
# What normalizations, softmax and pooling compute on the way, and no activation is made of alone.
_AUXILIARY = frozenset((
    "abs", "div", "exp", "exp2", "integer_pow", "is_finite", "log", "pow", "rsqrt", "sign", "sqrt",
    "square", "stop_gradient",
))
_BENDING = frozenset((
    "acos", "acosh", "and", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "clamp",
    "cos", "cosh", "custom_jvp_call", "eq", "erf", "erf_inv", "erfc", "expm1", "floor", "ge", "gt",
    "le", "lgamma", "log1p", "logistic", "lt", "max", "min", "ne", "not", "or", "rem", "round",
    "select_n", "sin", "sinh", "tan", "tanh", "xor",
))
_NONLINEAR = _AUXILIARY | _BENDING
_MOVES = frozenset((
    "convert_element_type", "copy", "pad", "reshape", "slice", "squeeze", "transpose",
))
# fmt: on
_ALIASES = {
    "logistic": "sigmoid",
    "soft_sign": "softsign",
    "hard_swish": "hard_silu",
    "swish": "silu",
}
_GRID = np.linspace(-6, 6, 49, dtype=np.float32)


class _Source(NamedTuple):
    """What an elementwise value follows from, and whether by more than adding and scaling."""

    root: int
    nonlinear: bool


@dataclass(frozen=True)
class Nonlinearity:
    """A function of each element of `root`, whose values are at `output`.

    `equations` lead from the one to the other, those that do not follow from `root` included.
    """

    root: int
    output: int
    equations: Sequence[Equation]
    shape: tuple[int, ...]
    dtype: Any

    def __call__(self, x: Array) -> Array:
        """Apply it to an array of any shape, in the dtype that the program has it in.

        KeyError where it needs a learned parameter, which is no part of it.
        """
        return _apply(self.equations, {self.root: x.astype(self.dtype)})[self.output]

    def slope(self, values: Mapping[int, Any]) -> Array:
        """Its derivative at each element of `root`, of the values of the whole program."""
        moving = {self.root}
        own = []
        for one in self.equations:
            if any(isinstance(atom, int) and atom in moving for atom in one.inputs):
                moving.update(one.outputs)
                own.append(one)

        def function(z: Array) -> Array:
            known = dict(values) | {self.root: z}
            for one in own:
                found = run(one, [read(known, atom) for atom in one.inputs])
                known |= dict(zip(one.outputs, found, strict=True))
            return known[self.output]

        z = values[self.root]
        return jax.jvp(function, (z,), (jnp.ones_like(z),))[1]

    def facts(self) -> Facts | None:
        """What is known of it; None where it cannot be measured (a learned parameter)."""
        try:
            return facts(name if (name := self.name()) in ACTIVATIONS else self)
        except (ValueError, TypeError, KeyError):
            return None

    def known(self) -> str | None:
        """The activation of `jcnn.activations` that it equals, if it equals one."""
        try:
            values = np.asarray(self(jnp.asarray(_GRID)), np.float32)
        except (ValueError, TypeError, KeyError):
            return None
        table = {name: _values(name, jnp.dtype(self.dtype)) for name in ACTIVATIONS}
        own = self._scope()
        for name in [*([own] if own in table else []), *table]:
            if np.allclose(values, table[name], rtol=1e-3, atol=1e-3):
                return name
        return None

    def name(self) -> str:
        """The activation that it equals, else what its code is called, else "own"."""
        return self.known() or self._scope() or "own"

    def _scope(self) -> str:
        names = [one.scope for one in self.equations if one.scope and one.scope[0] not in "_<"]
        return _ALIASES.get(names[-1], names[-1]) if names else ""


@lru_cache(maxsize=256)
def _values(name: str, dtype: Any) -> np.ndarray:
    return np.asarray(ACTIVATIONS[name](jnp.asarray(_GRID, dtype)), np.float32)


def nonlinearities(program: Program, data: Sequence[int]) -> list[Nonlinearity]:
    """The nonlinearities of values that follow from the places in `data`, in order."""
    depends = program.depending_on(data)
    sources: dict[int, _Source] = {}
    uniform: set[int] = set()

    def steady(atom: Atom) -> bool:
        """Whether one number stands for all of it, whatever the data."""
        if isinstance(atom, Constant):
            return np.size(atom.value) == 1
        return atom in uniform or (
            math.prod(program.avals[atom].shape) == 1 and atom not in depends
        )

    for one in program.equations:
        (place, *others) = one.outputs
        if others:
            continue
        moving = [atom for atom in one.inputs if not steady(atom)]
        if not moving:
            if one.name == "broadcast_in_dim":
                uniform.add(place)
            continue
        roots = {
            sources[atom] if atom in sources else _Source(atom, False)
            for atom in moving
            if isinstance(atom, int)
        }
        same = len({source.root for source in roots}) == 1
        if not same or len([a for a in moving if isinstance(a, int)]) < len(moving):
            continue
        root = next(iter(roots)).root
        if root not in depends or program.avals[place].shape != program.avals[root].shape:
            continue
        if _is_elementwise(one):
            scales = one.name == "div" and steady(one.inputs[1])
            bends = one.name in _NONLINEAR and not scales
            nonlinear = bends or any(source.nonlinear for source in roots)
            sources[place] = _Source(root, nonlinear)
    return _found(program, sources, steady)


def _is_elementwise(equation: Equation) -> bool:
    held = inner(equation)
    if held is not None:
        return len(equation.outputs) == 1 and all(map(_is_elementwise, held.equations))
    return equation.name in _LINEAR or equation.name in _NONLINEAR


def _found(
    program: Program, sources: Mapping[int, _Source], steady: Callable[[Atom], bool]
) -> list[Nonlinearity]:
    """Of each root, the first nonlinear value that is read beyond the function itself."""
    read_by = program.read_by()
    ends = {atom for atom in program.outputs if isinstance(atom, int)}
    found: dict[int, Nonlinearity] = {}
    for place, (root, nonlinear) in sources.items():
        # A value that only leads to others of the same root is inside the function.
        leads_on = all(
            sources.get(one.outputs[0], _Source(-1, False)).root == root
            for one in read_by.get(place, ())
        )
        if not nonlinear or (leads_on and place not in ends):
            continue
        if program.avals[place].dtype == jnp.bool_ or root in found:
            continue
        aval = program.avals[root]
        needed = _leading_to(program, place, root)
        inside = {root, *(one.outputs[0] for one in needed)}
        if any(one.name in _BENDING or _divides(one, inside, steady) for one in needed):
            whole = Nonlinearity(root, place, needed, aval.shape, aval.dtype)
            pooled = _is_pooled(program, place, read_by)
            found[root] = _without_what_follows(whole, sources, pooled)
    order = {one.outputs[0]: i for i, one in enumerate(program.equations)}
    return sorted(found.values(), key=lambda one: order[one.output])


def _is_pooled(program: Program, place: int, read_by: Mapping[int, Sequence[Equation]]) -> bool:
    """Whether what reads a value, after cutting and moving it, makes fewer of it, by itself."""
    size = math.prod(program.avals[place].shape)
    readers = list(read_by.get(place, ()))
    shrinks = False
    while readers:
        one = readers.pop()
        if one.name in _MOVES:
            readers += read_by.get(one.outputs[0], ())
        elif math.prod(program.avals[one.outputs[0]].shape) < size:
            if sum(isinstance(atom, int) for atom in one.inputs) > 1:
                return False
            shrinks = True
    return shrinks


def _without_what_follows(
    whole: Nonlinearity, sources: Mapping[int, _Source], pooled: bool
) -> Nonlinearity:
    """The known activation that is only scaled or shifted on its way out (by dropout, say).

    Where the values are pooled next, whatever follows it belongs to the pooling: L2's squares, say.
    """
    made_by = {one.outputs[0]: one for one in whole.equations}
    following = (*_LINEAR, "div", *(_NONLINEAR if pooled else ()))
    part = whole
    while part.known() is None:
        last = made_by[part.output]
        bent = [a for a in last.inputs if isinstance(a, int) and a in sources]
        if last.name not in following or len(bent) != 1 or not sources[bent[0]].nonlinear:
            return whole
        kept = whole.equations[: whole.equations.index(made_by[bent[0]]) + 1]
        part = replace(part, output=bent[0], equations=kept)
    return part


def _divides(equation: Equation, inside: set[int], steady: Callable[[Atom], bool]) -> bool:
    """Whether it divides by what follows from the root."""
    return (
        equation.name == "div" and not steady(equation.inputs[1]) and equation.inputs[1] in inside
    )


def _leading_to(program: Program, place: int, root: int) -> list[Equation]:
    needed, found = {place}, []
    for one in reversed(program.equations):
        if one.outputs[0] in needed and one.outputs[0] != root:
            found.append(one)
            needed.update(atom for atom in one.inputs if isinstance(atom, int))
    return found[::-1]


def _apply(equations: Sequence[Equation], values: dict[int, Any]) -> dict[int, Any]:
    """Evaluate elementwise equations for a root of any shape, in which the rest is numbers."""

    def value(atom: Atom) -> Any:
        given = read(values, atom)
        return jnp.reshape(given, ()) if isinstance(atom, Constant) else given

    for one in equations:
        given = [value(atom) for atom in one.inputs]
        held = inner(one)
        if one.name in ("broadcast_in_dim", "reshape", "squeeze"):
            found = given[0]
        elif held is not None:
            done = _apply(held.equations, dict(zip(held.inputs, given, strict=True)))
            found = read(done, held.outputs[0])
        else:
            (found,) = run(one, jnp.broadcast_arrays(*given))
        values[one.outputs[0]] = found
    return values
