"""The dense (fully connected) layer and flattening, as pure functions."""

import math

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jcnn.arguments import floating

__all__ = [
    "dense",
    "flatten",
]


def dense(x: ArrayLike, kernel: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """Return `x @ kernel + bias` over the last axis of `x`.

    `x` is `(*batch, in)`, `kernel` is `(in, out)` and `bias` is `(out,)`. The result is
    `(*batch, out)` in the dtype of `x`; half precision is accumulated in float32. Gradients:
    `dx = dy @ kernel.T`, `dkernel = x.T @ dy`, `dbias = sum(dy)`.

    Raises TypeError if the dtypes are not floating point or differ, ValueError if the shapes do not
    match.

    >>> import jax.numpy as jnp
    >>> dense(jnp.ones((2, 3)), jnp.ones((3, 4)), jnp.ones(4)).tolist()[0]
    [4.0, 4.0, 4.0, 4.0]
    """
    x, kernel = floating(x), jnp.asarray(kernel)
    if kernel.ndim != 2 or x.ndim < 1 or x.shape[-1] != kernel.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} and kernel {kernel.shape}; expected (*batch, in) and (in, out)"
            " with the same in"
        )
    bias = None if bias is None else jnp.asarray(bias)
    for name, value in (("kernel", kernel), ("bias", bias)):
        if value is not None and value.dtype != x.dtype:
            raise TypeError(
                f"{name} is {value.dtype}; expected {x.dtype}, the dtype of x: cast with .astype"
            )
    wide = jnp.float32 if x.dtype.itemsize < 4 else x.dtype
    y = lax.dot_general(
        x, kernel, (((x.ndim - 1,), (0,)), ((), ())), preferred_element_type=wide
    ).astype(x.dtype)
    if bias is None:
        return y
    if bias.shape != kernel.shape[1:]:
        raise ValueError(f"bias has shape {bias.shape}; expected {kernel.shape[1:]}")
    return y + bias.reshape((1,) * (y.ndim - 1) + bias.shape)


def flatten(x: ArrayLike, start: int = 1) -> Array:
    """Collapse the axes of `x` from `start` on into one, in row-major order.

    >>> import jax.numpy as jnp
    >>> flatten(jnp.ones((2, 3, 4, 5))).shape, flatten(jnp.ones((2, 3, 4, 5)), start=2).shape
    ((2, 60), (2, 3, 20))
    """
    x = jnp.asarray(x)
    if not 0 <= start <= x.ndim:
        raise ValueError(f"start={start}; expected 0 to {x.ndim} for x of shape {x.shape}")
    return x.reshape(*x.shape[:start], math.prod(x.shape[start:]))


def __dir__() -> list[str]:
    return __all__
