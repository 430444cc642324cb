"""Convolution as a JAX primitive whose derivatives are the same primitive.

JAX expresses the two gradients of `lax.conv_general_dilated` with permuted dimension numbers, which
XLA:CPU rewrites to its fast form only outside loops (https://github.com/jax-ml/jax/issues/12868),
and it turns `vmap` over kernels into a grouped convolution, which is slow on CPU. Here a transpose
binds the same primitive with another `result`, `vmap` over both operands has its own axis, and the
implementation is selected by platform during lowering. Unlike a `custom_vjp`, a primitive supports
`jvp`, `vmap` and any nesting of them.

Each operand has a leading axis of models (or channel groups) that is never summed over:
input `(models, batch, *spatial, in)`, kernel `(models, *window, in, out)`,
output `(models, batch, *out_spatial, out)`.
"""

from functools import partial
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import Array
from jax.interpreters import ad, batching, mlir

from jcnn.convolution._cpu import fast
from jcnn.convolution._geometry import Geometry, Result
from jcnn.convolution._gpu import gpu
from jcnn.convolution._plain import plain
from jcnn.varying_axes import equally_varying

conv_p = jax.extend.core.Primitive("jcnn_conv")


def convolve(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """Convolve `(models, batch, *spatial, in)` with `(models, *window, in, out)`."""
    x, kernel = equally_varying(x, kernel)
    return conv_p.bind(x, kernel, result="output", geometry=geometry)


@conv_p.def_impl
def _run_eagerly(a: Array, b: Array, *, result: Result, geometry: Geometry) -> Array:
    # Without jit, the implementation would bind the primitive again, and call itself.
    with jax.disable_jit(False):
        return _run_compiled(a, b, result=result, geometry=geometry)


@partial(jax.jit, static_argnames=("result", "geometry"))
def _run_compiled(a: Array, b: Array, *, result: Result, geometry: Geometry) -> Array:
    return conv_p.bind(a, b, result=result, geometry=geometry)


@conv_p.def_abstract_eval
def _abstract(
    a: jax.core.ShapedArray, b: jax.core.ShapedArray, *, result: Result, geometry: Geometry
) -> jax.core.ShapedArray:
    models = a.shape[0]
    shape = {
        "output": (models, a.shape[1], *geometry.out_spatial, b.shape[-1]),
        "input": (models, a.shape[1], *geometry.spatial, b.shape[-2]),
        "kernel": (models, *geometry.window, a.shape[-1], b.shape[-1]),
    }[result]
    return a.update(shape=shape, weak_type=False)


# The operands of each map, in order. A transpose computes one of them.
_OPERANDS: dict[Result, tuple[Result, Result]] = {
    "output": ("input", "kernel"),
    "input": ("output", "kernel"),
    "kernel": ("input", "output"),
}


def _transpose(
    unknown: int, ct: Array, a: Any, b: Any, *, result: Result, geometry: Geometry
) -> Array:
    names = _OPERANDS[result]
    arrays = {result: ct, names[1 - unknown]: (a, b)[1 - unknown]}
    operands = [arrays[name] for name in _OPERANDS[names[unknown]]]
    return conv_p.bind(*operands, result=names[unknown], geometry=geometry)


ad.defbilinear(conv_p, partial(_transpose, 0), partial(_transpose, 1))

# An axis that is mapped over only one operand is folded into the axis which that operand shares
# with the result, but not with the other operand: (axis of operand, axis of result).
_FOLDS: dict[Result, tuple[tuple[int, int], tuple[int, int]]] = {
    "output": ((1, 1), (-1, -1)),
    "input": ((1, 1), (-2, -1)),
    "kernel": ((-1, -2), (-1, -1)),
}


def _batch(
    operands: tuple[Array, Array],
    dims: tuple[int | None, int | None],
    *,
    result: Result,
    geometry: Geometry,
) -> tuple[Array, int]:
    size = next(a.shape[d] for a, d in zip(operands, dims, strict=True) if d is not None)
    a, b = operands
    folds: tuple[int | None, int | None]
    if dims[0] is not None and dims[1] is not None:
        folds, axis = (0, 0), 0
    else:
        mapped = 0 if dims[0] is not None else 1
        source, axis = _FOLDS[result][mapped]
        folds = (source, None) if mapped == 0 else (None, source)
    a, b = (
        array if d is None or fold is None else _fold(array, d, fold)
        for array, d, fold in zip((a, b), dims, folds, strict=True)
    )
    out = conv_p.bind(a, b, result=result, geometry=geometry)
    axis = axis % out.ndim
    shape = (
        *out.shape[:axis],
        size,
        out.shape[axis] // size if size else 0,
        *out.shape[axis + 1 :],
    )
    return out.reshape(shape), axis


def _fold(a: Array, dim: int, axis: int) -> Array:
    axis = axis % (a.ndim - 1)
    a = jnp.moveaxis(a, dim, axis)
    return a.reshape(*a.shape[:axis], a.shape[axis] * a.shape[axis + 1], *a.shape[axis + 2 :])


batching.primitive_batchers[conv_p] = _batch


mlir.register_lowering(conv_p, mlir.lower_fun(plain, multiple_results=False))
for _platform, _lowering in (("cpu", fast), ("cuda", gpu)):
    mlir.register_lowering(
        conv_p, mlir.lower_fun(_lowering, multiple_results=False), platform=_platform
    )
