"""An activation as a traced program computes it, recognized by its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn.activations import ACTIVATIONS, Facts, facts
from jcnn.tracing.flatten import custom_body
from jcnn.tracing.interpreter import bind, read, run_equations
from jcnn.tracing.program import Atom, Constant, Equation, Var

_ALIASES = {
    "logistic": "sigmoid",
    "soft_sign": "softsign",
    "hard_swish": "hard_silu",
    "swish": "silu",
}
# Where two functions are compared.
_FAR = np.array([7, 8, 10, 15, 20], np.float32)
_GRID = np.concatenate([-_FAR[::-1], np.linspace(-6, 6, 49, dtype=np.float32), _FAR])
# Raised for a function that cannot be applied to the grid: it reads a learned parameter, say.
_NOT_APPLICABLE = (ValueError, TypeError, KeyError)


@dataclass(frozen=True)
class TracedActivation:
    """A function of each element of the variable `root`; its values are those of `output`.

    `equations` compute `output` from `root`, including what does not depend on `root`. `shape` and
    `dtype` are those of `root`.
    """

    root: Var
    output: Var
    equations: Sequence[Equation]
    shape: tuple[int, ...]
    dtype: Any

    def __call__(self, x: Array) -> Array:
        """Apply the function to an array of any shape, in the program's dtype.

        Raises KeyError if the function reads a learned parameter.
        """
        values = {self.root: x.astype(self.dtype)}
        return run_equations(self.equations, values, _run_elementwise)[self.output]

    def slope(self, values: Mapping[Var, Any]) -> Array:
        """Return the derivative at each element of `root`, given the values of the program."""
        dependents = {self.root}
        equations = []
        for equation in self.equations:
            if not dependents.isdisjoint(equation.variables()):
                dependents.update(equation.outputs)
                equations.append(equation)

        def function(z: Array) -> Array:
            output: Array = run_equations(equations, {**values, self.root: z})[self.output]
            return output

        output, pullback = jax.vjp(function, values[self.root])
        slope: Array = pullback(jnp.ones_like(output))[0]
        return slope

    def facts(self) -> Facts | None:
        """Return the facts of the function; None if it reads a learned parameter."""
        try:
            return facts(name if (name := self.name()) in ACTIVATIONS else self)
        except _NOT_APPLICABLE:
            return None

    def name(self) -> str:
        """Return the name in `jcnn.activations`, else that of the jitted function, else "own"."""
        return self.catalogue_name() or self._scope() or "own"

    def catalogue_name(self) -> str | None:
        """Return the name of the function in `jcnn.activations` that has the same values."""
        try:
            values = np.asarray(self(jnp.asarray(_GRID)), np.float32)
        except _NOT_APPLICABLE:
            return None
        scope = self._scope()
        for name in [*([scope] if scope in ACTIVATIONS else []), *ACTIVATIONS]:
            if np.allclose(values, _on_grid(name, jnp.dtype(self.dtype)), rtol=1e-3, atol=1e-3):
                return name
        return None

    def _scope(self) -> str:
        scopes = [e.scope for e in self.equations if e.scope and e.scope[0] not in "_<"]
        return _ALIASES.get(scopes[-1], scopes[-1]) if scopes else ""


@lru_cache(maxsize=256)
def _on_grid(name: str, dtype: Any) -> np.ndarray:
    return np.asarray(ACTIVATIONS[name](jnp.asarray(_GRID, dtype)), np.float32)


def _run_elementwise(equation: Equation, values: Mapping[Var, Any]) -> Sequence[Any]:
    """Run an elementwise equation on a root of any shape; all constants are scalars."""

    def scalar(atom: Atom) -> Any:
        value = read(values, atom)
        return jnp.reshape(value, ()) if isinstance(atom, Constant) else value

    inputs = [scalar(atom) for atom in equation.inputs]
    if equation.name in ("broadcast_in_dim", "reshape", "squeeze"):
        return [inputs[0]]
    body = custom_body(equation)
    if body is not None:
        inside = dict(zip(body.inputs, inputs, strict=True))
        inside = run_equations(body.equations, inside, _run_elementwise)
        return [read(inside, body.outputs[0])]
    return bind(equation, jnp.broadcast_arrays(*inputs))
