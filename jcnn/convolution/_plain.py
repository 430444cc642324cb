"""`lax.conv_general_dilated` and JAX's transposes of it, for GPU and TPU."""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jcnn.convolution._geometry import Geometry, Result
from jcnn.varying_axes import equally_varying


def plain(a: Array, b: Array, *, result: Result, geometry: Geometry) -> Array:
    """Compute one of the three maps by `lax`; the axis of models becomes groups of channels."""
    if result == "output":
        return _forward(a, b, geometry)
    if result == "input":
        shape = (*a.shape[:2], *geometry.spatial, b.shape[-2])
        x, _ = equally_varying(jnp.zeros(shape, a.dtype), a)
        (dx,) = jax.linear_transpose(lambda x: _forward(x, b, geometry), x)(a)
        return dx
    shape = (a.shape[0], *geometry.window, a.shape[-1], b.shape[-1])
    kernel, _ = equally_varying(jnp.zeros(shape, a.dtype), a)
    (dk,) = jax.linear_transpose(lambda k: _forward(a, k, geometry), kernel)(b)
    return dk


def _forward(x: Array, kernel: Array, geometry: Geometry) -> Array:
    models = x.shape[0]
    y = lax.conv_general_dilated(
        _models_into_channels(x),
        _models_into_channels(kernel),
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=channels_last(len(geometry.window)),
        feature_group_count=models,
    )
    return jnp.moveaxis(y.reshape(*y.shape[:-1], models, kernel.shape[-1]), -2, 0)


def _models_into_channels(a: Array) -> Array:
    return jnp.moveaxis(a, 0, -2).reshape(*a.shape[1:-1], -1)


def channels_last(spatial_axes: int) -> tuple[str, str, str]:
    """Return dimension numbers in the only layout that XLA:CPU's fast convolutions accept."""
    letters = "DHW"[-spatial_axes:]
    return f"N{letters}C", f"{letters}IO", f"N{letters}C"
