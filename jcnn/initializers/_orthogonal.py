"""Orthogonal kernels and the identity."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.nn import initializers as jax_initializers
from jax.typing import ArrayLike

from jcnn.initializers._named import Initializer, factory, fans, named, numbered


@factory
def orthogonal(gain: ArrayLike = 1.0) -> Initializer:
    """Orthonormal columns (or rows, if there are fewer) of the flattened kernel, times `gain`.

    Half precision is drawn in float32 and cast. Source: Saxe et al. 2014.

    >>> import jax
    >>> kernel = orthogonal()(jax.random.key(0), (8, 4))
    >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(4), atol=1e-5))
    True
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        fans(shape)  # raises for what is not a kernel
        wide = jnp.float32 if jnp.dtype(dtype).itemsize < 4 else dtype
        return jax_initializers.orthogonal(gain)(key, tuple(shape), wide).astype(dtype)

    return _with_gain("orthogonal", gain, init)


@factory
def delta_orthogonal(gain: ArrayLike = 1.0) -> Initializer:
    """Zero except for an orthogonal matrix at the window's centre (Xiao et al. 2018).

    Raises ValueError if there are more input than output channels.

    >>> import jax
    >>> kernel = delta_orthogonal()(jax.random.key(0), (3, 3, 4, 8))
    >>> float(jnp.abs(kernel[0]).max()), round(float(jnp.linalg.norm(kernel[1, 1, 0])), 4)
    (0.0, 1.0)
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        if len(shape) <= 2:
            return orthogonal(gain)(key, shape, dtype)
        if shape[-2] > shape[-1]:
            raise ValueError(
                f"delta_orthogonal: shape {tuple(shape)} has in > out; expected in <= out, since "
                "fewer channels cannot keep the norm"
            )
        centre = orthogonal(gain)(key, shape[-2:], dtype)
        return jnp.zeros(tuple(shape), dtype).at[_centre(shape)].set(centre)

    return _with_gain("delta_orthogonal", gain, init)


def _with_gain(name: str, gain: Any, function: Initializer) -> Initializer:
    if not isinstance(gain, Array) and gain == 1:
        return named(name, function)
    return numbered(name, gain, function)


@factory
def dirac() -> Initializer:
    """The convolution that copies input channel i to output channel i (the identity).

    >>> import jax
    >>> dirac()(jax.random.key(0), (3, 1, 1))[:, 0, 0].tolist()
    [0.0, 1.0, 0.0]
    """

    def init(key: Array, shape: Sequence[int], dtype: Any) -> Array:
        del key
        fans(shape)  # raises for what is not a kernel
        centre = jnp.eye(shape[-2], shape[-1], dtype=dtype)
        return jnp.zeros(tuple(shape), dtype).at[_centre(shape)].set(centre)

    return named("dirac", init)


def _centre(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple((size - 1) // 2 for size in shape[:-2])
