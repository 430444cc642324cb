"""Jaxprs in every supported version of JAX: their parts, and running their equations."""

from collections.abc import Sequence
from typing import Any, NamedTuple


def opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """Return a jaxpr and the values of its constants, whether it is closed or not.

    >>> import jax
    >>> jaxpr, constants = opened(jax.make_jaxpr(lambda x: x + 1.0)(0.0))
    >>> [str(equation.primitive) for equation in jaxpr.eqns], constants
    (['add'], [])
    """
    return (jaxpr.jaxpr, jaxpr.consts) if hasattr(jaxpr, "consts") else (jaxpr, ())


class Scan(NamedTuple):
    """A scan's body, and how many of its inputs are constant and carried."""

    body: Any
    constants: int
    carried: int
    length: int
    reverse: bool


def scan_parts(equation: Any) -> Scan:
    """Return the parts of a scan."""
    params = equation.params
    if "num_consts" in params:
        constants, carried = params["num_consts"], params["num_carry"]
    else:
        constants, carried = map(len, params["ft_in"].unpack()[:2])
    return Scan(params["jaxpr"], constants, carried, params["length"], params["reverse"])


def bind(equation: Any, inputs: Sequence[Any], **changes: Any) -> list[Any]:
    """Return the outputs of an equation's primitive, with its own derivative rule.

    `changes` replaces some of the equation's params.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> (sine,) = jax.make_jaxpr(jnp.sin)(0.0).eqns
    >>> [float(value) for value in bind(sine, [0.0])]
    [0.0]
    """
    params = equation.primitive.get_bind_params({**equation.params, **changes})
    outputs = equation.primitive.bind(*inputs, **params)
    return list(outputs) if equation.primitive.multiple_results else [outputs]
