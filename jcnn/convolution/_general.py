"""`lax.conv_general_dilated` in terms of the primitive, for any layout, groups and dilation."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jcnn.convolution._bilinear import conv_p, convolve
from jcnn.convolution._geometry import Geometry, Pairs
from jcnn.varying_axes import equally_varying


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: Any = None,
) -> Array:
    """Convolve like `jax.lax.conv_general_dilated`, with gradients that are fast in loops on CPU.

    Arguments, results and errors are those of `lax.conv_general_dilated`, for every layout, stride,
    padding, dilation and group. It can be given to Flax's layers:

    >>> from flax import nnx
    >>> layer = nnx.Conv(3, 8, (3, 3), conv_general_dilated=conv_general_dilated, rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((2, 16, 16, 3))).shape
    (2, 16, 16, 8)

    Half precision is accumulated in float32; `precision` has no effect on floating point on CPU.
    Integers, complex numbers, more than three spatial axes and `out_sharding` are left to `lax`.
    """
    options: dict[str, Any] = {
        "lhs_dilation": lhs_dilation,
        "rhs_dilation": rhs_dilation,
        "dimension_numbers": dimension_numbers,
        "feature_group_count": feature_group_count,
        "batch_group_count": batch_group_count,
        "precision": precision,
        "preferred_element_type": preferred_element_type,
    }
    if out_sharding is not None:
        options["out_sharding"] = out_sharding

    def plain(lhs: Array, rhs: Array) -> Array:
        return lax.conv_general_dilated(lhs, rhs, window_strides, padding, **options)

    # Checks the arguments and brings them to one form.
    closed = jax.make_jaxpr(plain)(lhs, rhs)
    # Others mark the operands as varying over the axes of a `shard_map`.
    equation = closed.jaxpr.eqns[-1]
    if equation.primitive.name != "conv_general_dilated":
        return plain(lhs, rhs)
    if not is_supported(equation.invars[0].aval, equation.invars[1].aval, equation.params):
        return plain(lhs, rhs)
    return from_params(lhs, rhs, equation.params)


def is_supported(lhs: Any, rhs: Any, params: dict[str, Any]) -> bool:
    """Whether the primitive computes this convolution, given its avals and params."""
    strides, dilation = params["window_strides"], params["lhs_dilation"]
    preferred = params["preferred_element_type"]
    return (
        1 <= len(strides) <= 3
        and lhs.dtype == rhs.dtype
        and any(lhs.dtype == kind for kind in (jnp.float16, jnp.bfloat16, jnp.float32, jnp.float64))
        and (preferred is None or jnp.issubdtype(preferred, jnp.floating))
        and params.get("out_sharding") is None
        and all(is_plain(aval) and 0 not in aval.shape for aval in (lhs, rhs))
        # Both at once are a convolution of which every second output is dropped.
        and (all(s == 1 for s in strides) or all(d == 1 for d in dilation))
    )


def is_plain(aval: Any) -> bool:
    """Whether an array's shape is known, and no explicit sharding has to be followed."""
    spec = aval.sharding.spec
    return all(isinstance(n, int) for n in aval.shape) and all(axis is None for axis in spec)


def from_params(lhs: Array, rhs: Array, params: dict[str, Any]) -> Array:
    """Compute what `lax.conv_general_dilated_p` computes with these params."""
    numbers = params["dimension_numbers"]
    kept, preferred = lhs.dtype, params["preferred_element_type"]
    if preferred is not None and jnp.dtype(preferred).itemsize > kept.itemsize:
        lhs, rhs = lhs.astype(preferred), rhs.astype(preferred)
    x = jnp.transpose(lhs, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    kernel = jnp.transpose(rhs, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    groups, batches = params["feature_group_count"], params["batch_group_count"]
    count = groups * batches  # one of them is 1
    if batches > 1:
        x = x.reshape(batches, -1, *x.shape[1:])
    else:
        x = jnp.moveaxis(x.reshape(*x.shape[:-1], groups, -1), -2, 0)
    kernel = jnp.moveaxis(kernel.reshape(*kernel.shape[:-1], count, -1), -2, 0)
    y = _in_form(x, kernel, params)
    y = jnp.moveaxis(y, 0, -2)
    y = y.reshape(*y.shape[:-2], rhs.shape[numbers.rhs_spec[0]])
    y = y.astype(kept if preferred is None else preferred)
    axes = (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
    return jnp.transpose(y, [axes.index(axis) for axis in range(len(axes))])


def _in_form(x: Array, kernel: Array, params: dict[str, Any]) -> Array:
    """Compute the convolution by whichever of the three maps it is.

    A dilated input is the map to the input of a strided convolution. A window of more positions
    than the output is the map to its kernel, in which examples and channels have changed places.
    """
    spatial, window = x.shape[2:-1], kernel.shape[1:-2]
    strides, padding = params["window_strides"], params["padding"]
    dilation, spread = params["rhs_dilation"], params["lhs_dilation"]
    low = tuple(lo for lo, _ in padding)
    reach = tuple((w - 1) * d + 1 for w, d in zip(window, dilation, strict=True))
    span = tuple((n - 1) * d + 1 for n, d in zip(spatial, spread, strict=True))
    out = tuple(
        (n + lo + hi - r) // s + 1
        for n, (lo, hi), r, s in zip(span, padding, reach, strides, strict=True)
    )
    if min(out) < 1:
        shape = (*x.shape[:2], *(max(n, 0) for n in out), kernel.shape[-1])
        return jnp.zeros(shape, x.dtype)
    if any(d > 1 for d in spread):
        low = tuple(r - 1 - lo for r, lo in zip(reach, low, strict=True))
        geometry = Geometry(out, window, spatial, spread, dilation, _exact(out, span, reach, low))
        axes = tuple(range(1, 1 + len(window)))
        flipped = jnp.flip(kernel, axes).swapaxes(-1, -2)
        x, flipped = equally_varying(x, flipped)
        return conv_p.bind(x, flipped, result="input", geometry=geometry)
    if math.prod(window) > math.prod(out):
        span = tuple((n - 1) * s + 1 for n, s in zip(out, strides, strict=True))
        exact = _exact(spatial, reach, span, low)
        geometry = Geometry(spatial, out, window, dilation, strides, exact)
        x, kernel = equally_varying(jnp.swapaxes(x, 1, -1), jnp.moveaxis(kernel, -2, 1))
        y = conv_p.bind(x, kernel, result="kernel", geometry=geometry)
        return jnp.moveaxis(y, -2, 1)
    return convolve(x, kernel, Geometry(spatial, window, out, strides, dilation, tuple(padding)))


def _exact(
    spatial: Sequence[int], span: Sequence[int], reach: Sequence[int], low: Sequence[int]
) -> Pairs:
    """Return the padding with which the last window ends where the padded input does."""
    return tuple(
        (lo, r + s - 1 - n - lo) for n, s, r, lo in zip(spatial, span, reach, low, strict=True)
    )
