"""The functions of `jcnn.normalization`."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jcnn.arguments import floating
from jcnn.normalization._standardize import average, standardize


def moments(x: ArrayLike, axes: Sequence[int]) -> tuple[Array, Array]:
    """Return mean and variance (divided by n) over `axes`, which keep length 1, in float32.

    >>> import jax.numpy as jnp
    >>> mean, variance = moments(jnp.array([[1.0], [3.0]]), (0,))
    >>> float(mean[0, 0]), float(variance[0, 0])
    (2.0, 1.0)
    """
    wide = _wide(floating(x))
    mean = average(wide, axes)
    return mean, average(jnp.square(wide - mean), axes)


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    scale: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
) -> Array:
    """Normalize each channel over all other axes (Ioffe and Szegedy 2015).

    In evaluation, pass running averages as `mean` and `variance`: `(channels,)`, or
    `(1, ..., 1, channels)` with as many axes as `x`. In training, leave them out: they are those of
    `x`, and the gradient flows through them. (That is faster than passing `moments(x, axes)`.)

    Raises ValueError if only one of `mean` and `variance` is given.

    >>> import jax.numpy as jnp
    >>> y = batch_norm(jnp.array([[1.0], [3.0]]))
    >>> [round(float(v), 3) for v in y[:, 0]]
    [-1.0, 1.0]
    """
    x = _channels_last(x)
    if mean is None and variance is None:
        return _standardized(x, range(x.ndim - 1), scale, bias, epsilon)
    if mean is None or variance is None:
        raise ValueError("pass mean and variance, or neither of them")
    kept = (1,) * (x.ndim - 1) + x.shape[-1:]
    mean, variance = (
        value if jnp.shape(value) == kept else _aligned(x, name, value)
        for name, value in (("mean", mean), ("variance", variance))
    )
    return _normalize(x, jnp.asarray(mean), jnp.asarray(variance), scale, bias, epsilon)


def layer_norm(
    x: ArrayLike,
    scale: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    epsilon: float = 1e-6,
) -> Array:
    """Normalize each position over its channels (Ba et al. 2016).

    >>> import jax.numpy as jnp
    >>> [round(float(v), 3) for v in layer_norm(jnp.array([1.0, 3.0]))]
    [-1.0, 1.0]
    """
    x = _channels_last(x)
    return _standardized(x, (x.ndim - 1,), scale, bias, epsilon)


def group_norm(
    x: ArrayLike,
    scale: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    num_groups: int,
    spatial_ndim: int = 2,
    epsilon: float = 1e-6,
) -> Array:
    """Normalize each example over its spatial axes and each group of adjacent channels.

    Raises ValueError if `num_groups` does not divide the channels. Source: Wu and He 2018.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([1.0, 3.0, 10.0, 30.0])[None, None]
    >>> [round(float(v), 3) for v in group_norm(x, num_groups=2)[0, 0]]
    [-1.0, 1.0, -1.0, 1.0]
    """
    x = _channels_last(x)
    channels = x.shape[-1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"num_groups={num_groups}; expected a divisor of the {channels} channels")
    if not 0 <= spatial_ndim < x.ndim:
        raise ValueError(f"spatial_ndim={spatial_ndim} does not fit x of shape {x.shape}")
    spatial = range(x.ndim - 1 - spatial_ndim, x.ndim - 1)
    return _standardized(x, spatial, scale, bias, epsilon, num_groups)


def instance_norm(
    x: ArrayLike,
    scale: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    spatial_ndim: int = 2,
    epsilon: float = 1e-6,
) -> Array:
    """Normalize each channel of each example over its spatial axes (Ulyanov et al. 2016).

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[[1.0], [3.0]]])
    >>> [round(float(v), 3) for v in instance_norm(x)[0, :, 0]]
    [-1.0, 1.0]
    """
    x = _channels_last(x)
    if not 1 <= spatial_ndim < x.ndim:
        raise ValueError(f"spatial_ndim={spatial_ndim} does not fit x of shape {x.shape}")
    axes = range(x.ndim - 1 - spatial_ndim, x.ndim - 1)
    return _standardized(x, axes, scale, bias, epsilon)


def rms_norm(x: ArrayLike, scale: ArrayLike | None = None, *, epsilon: float = 1e-6) -> Array:
    """Divide each position by the root mean square of its channels (Zhang and Sennrich 2019).

    >>> import jax.numpy as jnp
    >>> [round(float(v), 3) for v in rms_norm(jnp.array([1.0, 7.0]))]
    [0.2, 1.4]
    """
    x = _channels_last(x)
    square = jnp.mean(jnp.square(_wide(x)), axis=-1, keepdims=True)
    return _normalize(x, jnp.zeros_like(square), square, scale, None, epsilon)


def standardize_kernel(kernel: ArrayLike, *, epsilon: float = 1e-5) -> Array:
    """Give the weights of each output channel mean 0 and variance 1 (Qiao et al. 2019).

    `kernel` is `(*window, in, out)`. Multiplied by `fan_in ** -0.5` and the activation's
    `variance_gain`, the kernel keeps the variance of the signal.

    >>> import jax.numpy as jnp
    >>> kernel = standardize_kernel(jnp.arange(9.0).reshape(3, 3, 1, 1))
    >>> abs(round(float(kernel.mean()), 5)), round(float(kernel.std()), 3)
    (0.0, 1.0)
    """
    kernel = floating(kernel, "kernel")
    return _standardized(kernel, range(kernel.ndim - 1), None, None, epsilon)


def _normalize(
    x: Array,
    mean: Array,
    variance: Array,
    scale: ArrayLike | None,
    bias: ArrayLike | None,
    epsilon: float,
) -> Array:
    return _affine((_wide(x) - mean) / jnp.sqrt(variance + epsilon), x, scale, bias)


def _standardized(
    x: Array,
    axes: Sequence[int],
    scale: ArrayLike | None,
    bias: ArrayLike | None,
    epsilon: float,
    groups: int | None = None,
) -> Array:
    return _affine(standardize(_wide(x), tuple(axes), groups, epsilon), x, scale, bias)


def _affine(y: Array, x: Array, scale: ArrayLike | None, bias: ArrayLike | None) -> Array:
    if scale is not None:
        y = y * _aligned(x, "scale", scale)
    if bias is not None:
        y = y + _aligned(x, "bias", bias)
    return y.astype(x.dtype)


def _channels_last(x: ArrayLike) -> Array:
    x = floating(x)
    if x.ndim < 1:
        raise ValueError("x is a scalar; expected (*batch, channels): add the last axis")
    return x


def _aligned(x: Array, name: str, value: ArrayLike) -> Array:
    wide = _wide(floating(value, name))
    if wide.shape != x.shape[-1:]:
        raise ValueError(
            f"{name} has shape {wide.shape} for x of shape {x.shape}; expected {x.shape[-1:]}, one "
            "number per channel"
        )
    return wide.reshape((1,) * (x.ndim - 1) + wide.shape)


def _wide(x: Array) -> Array:
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
