"""The public convolution: checks its arguments and brings them to the form of the primitive."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import Padding, pads, per_axis
from jcnn.convolution._bilinear import Geometry, convolve


def conv(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    kernel_dilation: int | Sequence[int] = 1,
    feature_group_count: int = 1,
) -> Array:
    """Convolve `x` with `kernel` (cross-correlation, as in every CNN library).

    ``y[b, p, o] = bias[o] + sum_{w, i} x[b, p * strides + w * dilation - low, i] kernel[w, i, o]``

    ``x`` is ``(*batch, *spatial, in)`` with any number of batch axes, including none; ``kernel`` is
    ``(*window, in // feature_group_count, out)`` with 1 to 3 window axes, which determine the
    number of spatial axes; ``bias`` is ``(out,)``. Returns ``(*batch, *out_spatial, out)`` in the
    dtype of ``x``; half precision is accumulated in float32. With ``G = feature_group_count``,
    output channels ``g * out // G`` to ``(g + 1) * out // G`` see only the g-th slice of the input
    channels.

    ``padding`` is ``"SAME"`` (``ceil(size / stride)`` positions, with the odd zero at the end),
    ``"VALID"``, ``"CIRCULAR"`` (the axis wraps around, by as many positions as ``"SAME"`` pads at
    stride 1), an integer (that many zeros on both sides of every axis), or one ``(low, high)`` pair
    of zeros per spatial axis.

    The map is linear in ``x``, in ``kernel`` and in ``bias``, so its gradient is exact everywhere;
    padded positions receive none. Forward mode, reverse mode and their compositions work.

    Raises ``TypeError`` if the dtypes are not floating point or differ, ``ValueError`` if shapes,
    channels, groups or padding do not match.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> import jax.numpy as jnp
    >>> conv(jnp.ones((8, 28, 28, 1)), jnp.ones((5, 5, 1, 6)), padding="VALID", strides=2).shape
    (8, 12, 12, 6)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    _check_arrays(x, kernel, feature_group_count)
    n = kernel.ndim - 2
    batch, spatial = x.shape[: x.ndim - n - 1], x.shape[x.ndim - n - 1 : -1]
    strides = per_axis("strides", strides, n)
    dilation = per_axis("kernel_dilation", kernel_dilation, n)
    reach = tuple((w - 1) * d + 1 for w, d in zip(kernel.shape[:n], dilation, strict=True))
    pairs = pads(padding, spatial, reach, strides, circular=True)
    if padding == "CIRCULAR":
        x = _wrap(x, pairs)
        spatial, pairs = x.shape[len(batch) : -1], ((0, 0),) * n
    sizes = [s + lo + hi - r for s, (lo, hi), r in zip(spatial, pairs, reach, strict=True)]
    if min(sizes) < 0:
        raise ValueError(
            f"the window spans {reach} positions, but x has only {spatial} with padding "
            f"{pairs}; use a smaller kernel or kernel_dilation, or more padding"
        )
    out_spatial = tuple(size // stride + 1 for size, stride in zip(sizes, strides, strict=True))
    geometry = Geometry(spatial, kernel.shape[:n], out_spatial, strides, dilation, pairs)
    y = convolve(
        _group_input(x.reshape(-1, *spatial, x.shape[-1]), feature_group_count),
        _group_kernel(kernel, feature_group_count),
        geometry,
    )
    y = jnp.moveaxis(y, 0, -2).reshape(*batch, *out_spatial, kernel.shape[-1])
    return y if bias is None else y + _checked_bias(jnp.asarray(bias), y)


def _group_input(x: Array, groups: int) -> Array:
    return jnp.moveaxis(x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups), -2, 0)


def _group_kernel(kernel: Array, groups: int) -> Array:
    return jnp.moveaxis(
        kernel.reshape(*kernel.shape[:-1], groups, kernel.shape[-1] // groups), -2, 0
    )


def _check_arrays(x: Array, kernel: Array, groups: int) -> None:
    if not 3 <= kernel.ndim <= 5:
        raise ValueError(
            f"kernel has shape {kernel.shape}; expected (*window, in // feature_group_count, "
            "out) with 1 to 3 window axes"
        )
    if x.ndim < kernel.ndim - 1:
        raise ValueError(
            f"x has shape {x.shape}, but the kernel of shape {kernel.shape} has {kernel.ndim - 2} "
            f"window axes; expected (*batch, *spatial, in), at least {kernel.ndim - 1} axes"
        )
    if x.dtype != kernel.dtype or not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"x is {x.dtype} and kernel is {kernel.dtype}; expected one floating dtype for both: "
            "cast with .astype"
        )
    if 0 in kernel.shape or 0 in x.shape[x.ndim - kernel.ndim + 1 :]:
        raise ValueError(
            f"x has shape {x.shape} and kernel {kernel.shape}; only batch axes may be empty"
        )
    channels, out = x.shape[-1], kernel.shape[-1]
    if groups < 1 or channels % groups or out % groups:
        raise ValueError(
            f"feature_group_count={groups} must be positive and divide the input channels "
            f"({channels}) and the output channels ({out})"
        )
    if kernel.shape[-2] != channels // groups:
        raise ValueError(
            f"kernel of shape {kernel.shape} takes {kernel.shape[-2]} input channels per group, "
            f"but x of shape {x.shape} with feature_group_count={groups} has {channels // groups}; "
            "the kernel is (*window, in // feature_group_count, out) and channels are the last "
            "axis of x"
        )


def _checked_bias(bias: Array, y: Array) -> Array:
    if bias.shape != y.shape[-1:]:
        raise ValueError(f"bias has shape {bias.shape}; expected {y.shape[-1:]}, one per channel")
    if bias.dtype != y.dtype:
        raise TypeError(
            f"bias is {bias.dtype}; expected {y.dtype}, the dtype of x: cast with .astype"
        )
    return bias.reshape((1,) * (y.ndim - 1) + bias.shape)


def _wrap(x: Array, pads: tuple[tuple[int, int], ...]) -> Array:
    batch_axes = x.ndim - len(pads) - 1
    return jnp.pad(x, ((0, 0),) * batch_axes + pads + ((0, 0),), mode="wrap")
