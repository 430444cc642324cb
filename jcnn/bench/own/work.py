"""What a function computes, read off its traced program: work, promotions and calls of the host."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from jcnn.jaxprs import opened
from jcnn.tracing.flatten import flatten
from jcnn.tracing.operations import count_operations

_HOST = ("callback", "debug_print", "infeed", "outfeed")


def operations_of(jaxpr: Any) -> tuple[float, bool]:
    """Return the floating-point operations, and whether a `while` makes them a lower bound.

    Loops count as often as they run, other than in XLA's own count.

    >>> import jax
    >>> def loop(x):
    ...     return jax.lax.scan(lambda x, _: (x @ x, None), x, length=10)[0]
    >>> operations_of(jax.make_jaxpr(loop)(jnp.ones((8, 8))))
    (10240.0, False)
    """
    program = flatten(jaxpr)
    unknown = any(str(equation.primitive) == "while" for equation in _equations(jaxpr))
    return count_operations(program), unknown


def promotions(jaxpr: Any) -> list[str]:
    """Return the conversions of arrays from half precision to float32 or more, with their counts.

    >>> import jax
    >>> promotions(jax.make_jaxpr(lambda x: x.astype(jnp.float32))(jnp.ones(8, jnp.bfloat16)))
    ['bfloat16 to float32, 8 numbers']
    """
    found: dict[str, int] = {}
    for equation in _equations(jaxpr):
        if str(equation.primitive) != "convert_element_type":
            continue
        source, target = equation.invars[0].aval, equation.outvars[0].aval
        both = all(jnp.issubdtype(each.dtype, jnp.floating) for each in (source, target))
        if both and source.ndim and source.dtype.itemsize < target.dtype.itemsize:
            kinds = f"{source.dtype} to {target.dtype}"
            found[kinds] = found.get(kinds, 0) + source.size
    return [f"{kinds}, {count:,} numbers" for kinds, count in found.items()]


def host_calls(jaxpr: Any) -> list[str]:
    """Return the names of operations that wait for the host, such as callbacks.

    >>> import jax
    >>> host_calls(jax.make_jaxpr(lambda x: jax.debug.callback(print, x))(1.0))
    ['debug_callback']
    """
    names = (str(equation.primitive) for equation in _equations(jaxpr))
    return sorted({name for name in names if any(part in name for part in _HOST)})


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Yield the equations of a program and of all programs inside it."""
    for equation in opened(jaxpr)[0].eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                    yield from _equations(part)
