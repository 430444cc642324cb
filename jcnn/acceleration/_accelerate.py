"""`accelerate`: a function whose convolutions and pooling are jcnn's."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import jax
from jax.extend.core import get_opaque_trace_state, jaxpr_as_fun
from jax.extend.core.primitives import conv_general_dilated_p

from jcnn.acceleration import _windows
from jcnn.acceleration._arguments import Call, Form, following_modules
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
    `jax.checkpoint`, `shard_map` and in functions with custom derivatives. Everything else
    stays as it is. XLA:CPU computes the gradients of its own convolutions and poolings on a slow
    path inside loops; those of jcnn stay on the fast one. Gradients of any order, forward mode,
    `vmap` and `jit` work as before::

        loss, gradients = jax.value_and_grad(jcnn.accelerate(loss_function))(params, x, y)

    Accelerate the function before it is differentiated. A function that contains its gradient, such
    as a whole training step, works as well, but compiles to somewhat slower code.

    Arrays in the arguments are traced; numbers, strings and functions stay what they are, also in
    the outputs. The function may be or take a `flax.nnx` module, whose state and attributes are
    updated, the `apply` of a Linen module, an Equinox module, or anything else that JAX can trace.
    It must be pure, apart from modules that are arguments. A call with arguments of the same types
    uses the earlier trace, unless the function captures JAX arrays from outside.

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
    traces: OrderedDict[Hashable, _Traced] = OrderedDict()

    @following_modules
    def run(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        call = Call(function, args, kwargs)
        # Inside a transformation, a trace may depend on its axes; there nothing is called often.
        key = (call.key(), _context()) if _is_outermost() else (None, None)
        traced = traces.get(key)
        if traced is None:
            traced = _Traced(call)
            if traced.is_reusable and key[0] is not None:
                traces[key] = traced
                if len(traces) > _MOST_TRACES:
                    traces.popitem(last=False)
        elif key in traces:
            traces.move_to_end(key)
        return call.finish(traced.run(*call.arrays), traced.form)

    def accelerated(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if jax.config.jax_disable_jit else run(args, kwargs)

    functools.update_wrapper(accelerated, function, updated=())
    if not hasattr(function, "__name__"):
        accelerated.__name__ = accelerated.__qualname__ = type(function).__name__
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
    """A function's program for arguments of certain types, and the form of its outputs."""

    form: Form

    def __init__(self, call: Call) -> None:
        def run(*arrays: Any) -> list[Any]:
            outputs, self.form = call.run(arrays)
            return outputs

        closed = jax.make_jaxpr(run)(*call.arrays)
        if _SUBSTITUTION.applies_to(closed):
            original = closed
            closed = jax.make_jaxpr(lambda *arrays: _SUBSTITUTION.run(original, arrays))(
                *call.arrays
            )
        self.run: Callable[..., list[Any]] = jaxpr_as_fun(closed)
        # Captured arrays may be others at the next call.
        self.is_reusable = not any(isinstance(constant, jax.Array) for constant in closed.consts)


def _is_outermost() -> bool:
    """Whether no transformation is going on."""
    with jax.core.eval_context():
        outermost = get_opaque_trace_state()
    return bool(get_opaque_trace_state() == outermost)


def _context() -> Hashable:
    """The settings on which a trace depends."""
    config = jax.config
    return (
        config.jax_enable_x64,
        config.jax_default_matmul_precision,
        config.jax_default_prng_impl,
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
