"""What differs between versions of JAX in jaxprs."""

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
