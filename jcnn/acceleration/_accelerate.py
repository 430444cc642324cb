"""`accelerate`: a function whose convolutions and pooling are jcnn's."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import jax
from jax.extend.core import jaxpr_as_fun
from jax.extend.core.primitives import conv_general_dilated_p

from jcnn.acceleration import _windows
from jcnn.acceleration._arguments import Call, flatten_call
from jcnn.acceleration._substitution import Substitution
from jcnn.convolution import _general
from jcnn.convolution._bilinear import conv_p

Function = TypeVar("Function", bound=Callable[..., Any])
# How many traces a function keeps.
_MOST_TRACES = 64


def accelerate(function: Function) -> Function:
    """Return a function of the same value, which trains faster on CPU.

    The function is traced, as by `jax.jit`, and its convolutions and pooling are replaced by
    `jcnn.convolution` and `jcnn.pooling`, wherever they are: in jitted functions, loops, branches,
    `jax.checkpoint`, `shard_map` and in functions with derivatives of their own. Everything else
    stays as it is. XLA:CPU computes the gradients of its own convolutions and poolings on a slow
    path inside loops; those of jcnn stay on the fast one. Gradients of any order, forward mode,
    `vmap` and `jit` work as before::

        loss, gradients = jax.value_and_grad(jcnn.accelerate(loss_function))(params, x, y)

    Accelerate the function before it is differentiated. A function that contains its gradient, such
    as a whole training step, works as well, but compiles to somewhat slower code.

    Arrays in the arguments are traced; Python numbers, strings and functions stay what they are.
    The function may be or take a `flax.nnx` module, whose state is updated, a Linen function, an
    Equinox module, or anything else that JAX can trace. It must be pure, apart from the state of
    modules that are arguments. A call with arguments of the same types uses the earlier trace, as
    long as the function captures no arrays from outside.

    On accelerators, where nothing would gain, and for a function that is accelerated already, the
    function itself is returned. Under `jax.disable_jit`, it runs unchanged.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> model = nnx.Sequential(nnx.Conv(1, 4, (3, 3), rngs=nnx.Rngs(0)), nnx.relu)
    >>> x = jnp.ones((2, 8, 8, 1))
    >>> bool(jnp.allclose(accelerate(model)(x), model(x), atol=1e-6))
    True
    """
    if getattr(function, "_is_accelerated", False) or jax.default_backend() != "cpu":
        return function
    traces: OrderedDict[Hashable, Any] = OrderedDict()

    def accelerated(*args: Any, **kwargs: Any) -> Any:
        if jax.config.jax_disable_jit:
            return function(*args, **kwargs)
        call = flatten_call(function, args, kwargs)
        key = (call.key, _context())
        traced = traces.get(key)
        if traced is None:
            traced = _Traced(call)
            if traced.is_reusable:
                traces[key] = traced
                if len(traces) > _MOST_TRACES:
                    traces.popitem(last=False)
        else:
            traces.move_to_end(key)
        return call.finish(traced.run(call.arrays), traced.structure)

    if isinstance(function, type) or not hasattr(function, "__name__"):
        accelerated.__doc__ = function.__doc__
        accelerated.__name__ = accelerated.__qualname__ = type(function).__name__
    else:
        functools.update_wrapper(accelerated, function)
    accelerated._is_accelerated = True  # type: ignore[attr-defined]
    return accelerated  # type: ignore[return-value]


def accelerate_traced(function: Function) -> Function:
    """Return the accelerated form of a function that is called while something else is traced.

    All arguments are arrays in pytrees. Nothing is kept between calls, and `jax.disable_jit` has no
    effect.

    >>> import jax.numpy as jnp
    >>> double = accelerate_traced(lambda x: 2 * x["value"])
    >>> float(double({"value": jnp.float32(3)}))
    6.0
    """
    if jax.default_backend() != "cpu":
        return function
    return functools.wraps(function)(_SUBSTITUTION.function(function))  # type: ignore[return-value]


class _Traced:
    """A function's program for arguments of certain types."""

    def __init__(self, call: Call) -> None:
        closed, shapes = jax.make_jaxpr(call.run, return_shape=True)(call.arrays)
        self.structure = jax.tree.structure(shapes)
        if _SUBSTITUTION.applies_to(closed):
            original = closed
            closed = jax.make_jaxpr(lambda arrays: _SUBSTITUTION.run(original, arrays))(call.arrays)
        self.run: Callable[[Sequence[Any]], list[Any]] = lambda arrays: jaxpr_as_fun(closed)(
            *arrays
        )
        # Captured arrays may be others at the next call.
        self.is_reusable = call.is_hashable and not any(
            isinstance(constant, jax.Array) for constant in closed.consts
        )


def _context() -> Hashable:
    """The settings on which a trace depends."""
    config = jax.config
    return (
        config.jax_enable_x64,
        config.jax_default_matmul_precision,
        config.jax_numpy_dtype_promotion,
        config.jax_numpy_rank_promotion,
        config.jax_threefry_partitionable,
        jax.sharding.get_abstract_mesh(),
    )


def _is_substituted(equation: Any) -> bool:
    name, avals = equation.primitive.name, [atom.aval for atom in equation.invars]
    if name == "conv_general_dilated":
        lhs, rhs = avals
        return _general.is_supported(lhs, rhs, equation.params)
    return name in _windows.NAMES and _windows.is_supported(name, avals[-1], equation.params)


def _substitute(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    name = equation.primitive.name
    if name == "conv_general_dilated":
        lhs, rhs = inputs
        return [_general.from_params(lhs, rhs, equation.params)]
    return [_windows.from_params(name, inputs, equation.params)]


_SUBSTITUTION = Substitution(_is_substituted, _substitute, {conv_p: conv_general_dilated_p})
