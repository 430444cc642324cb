"""Activations found in a traced program: where each element follows from one other by one function.

Nothing is asked of the model: `nnx.relu(x)`, `x * jax.nn.sigmoid(x)` or an activation of one's own
is recognised by its equations.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.activations import ACTIVATIONS, Facts, facts
from jcnn.diagnosis.program import Atom, Constant, Equation, Program, inner, run

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
# fmt: on
_NONLINEAR = _AUXILIARY | _BENDING
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
    """A function of each element of `root`, whose values are at `output`."""

    root: int
    output: int
    equations: Sequence[Equation]
    shape: tuple[int, ...]
    dtype: Any

    def __call__(self, x: Array) -> Array:
        """Apply it to an array of any shape, in the dtype that the program has it in."""
        whole = x.shape == self.shape
        return _apply(self.equations, {self.root: x.astype(self.dtype)}, whole)[self.output]

    def slope(self, z: Array) -> Array:
        """Its derivative at each element."""
        z = z.astype(self.dtype)
        return jax.jvp(self, (z,), (jnp.ones_like(z),))[1]

    def facts(self) -> Facts | None:
        """What is known of it; None where it cannot be measured (a learned parameter)."""
        try:
            return facts(name if (name := self.name()) in ACTIVATIONS else self)
        except (ValueError, TypeError, KeyError):
            return None

    def name(self) -> str:
        """The activation of `jcnn.activations` that it equals, else what its code is called."""
        try:
            values = np.asarray(self(jnp.asarray(_GRID)), np.float32)
        except (ValueError, TypeError, KeyError):
            values = None
        scope = next((one.scope for one in reversed(self.equations) if one.scope), "")
        own = _ALIASES.get(scope, scope)
        if values is None:
            return own or "learned"
        for name in dict.fromkeys([*([own] if own in ACTIVATIONS else []), *ACTIVATIONS]):
            expected = np.asarray(ACTIVATIONS[name](_GRID.astype(self.dtype)), np.float32)
            if np.allclose(values, expected, rtol=1e-3, atol=1e-3):
                return name
        last = next(one for one in reversed(self.equations) if one.name in _NONLINEAR)
        return own or _ALIASES.get(last.name, last.name)


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
    return _found(program, sources)


def _is_elementwise(equation: Equation) -> bool:
    held = inner(equation)
    if held is not None:
        return len(equation.outputs) == 1 and all(map(_is_elementwise, held.equations))
    return equation.name in _LINEAR or equation.name in _NONLINEAR


def _found(program: Program, sources: Mapping[int, _Source]) -> list[Nonlinearity]:
    """Of each root, the first nonlinear value that is read beyond the function itself."""
    read_by = program.read_by()
    ends = {atom for atom in program.outputs if isinstance(atom, int)}
    found: dict[int, Nonlinearity] = {}
    for place, (root, nonlinear) in sources.items():
        # A value that only leads to others of the same root is inside the function.
        inside = all(
            sources.get(one.outputs[0], _Source(-1, False)).root == root
            for one in read_by.get(place, ())
        )
        if not nonlinear or (inside and place not in ends):
            continue
        if program.avals[place].dtype == jnp.bool_ or root in found:
            continue
        aval = program.avals[root]
        needed = _leading_to(program, place, root)
        if any(one.name in _BENDING for one in needed):
            found[root] = Nonlinearity(root, place, needed, aval.shape, aval.dtype)
    order = {one.outputs[0]: i for i, one in enumerate(program.equations)}
    return sorted(found.values(), key=lambda one: order[one.output])


def _leading_to(program: Program, place: int, root: int) -> list[Equation]:
    needed, found = {place}, []
    for one in reversed(program.equations):
        if one.outputs[0] in needed and one.outputs[0] != root:
            found.append(one)
            needed.update(atom for atom in one.inputs if isinstance(atom, int))
    return found[::-1]


def _apply(equations: Sequence[Equation], values: dict[int, Any], whole: bool) -> dict[int, Any]:
    """Evaluate elementwise equations for a root of any shape; `whole` when it is the traced one."""

    def value(atom: Atom) -> Any:
        return jnp.asarray(atom.value) if isinstance(atom, Constant) else values[atom]

    for one in equations:
        given = [value(atom) for atom in one.inputs]
        held = inner(one)
        if one.name == "broadcast_in_dim":
            found = given[0]
        elif held is not None and not whole:
            done = _apply(held.equations, dict(zip(held.inputs, given, strict=True)), whole)
            out = held.outputs[0]
            found = out.value if isinstance(out, Constant) else done[out]
        else:
            (found,) = run(one, given if held else jnp.broadcast_arrays(*given))
        values[one.outputs[0]] = found
    return values
