"""Initial values for kernels `(*window, in, out)`, as `init(key, shape, dtype=float32)`.

Members that need no argument are initializers themselves; `normal`, `constant`, `orthogonal` and
others that do are factories. "normal" here is the plain normal distribution; jax's functions of
that name truncate, and stand here as `*_truncated_normal`.

>>> import jax, jax.numpy as jnp
>>> draws = {"lecun": lecun_normal, "glorot": glorot_normal, "he": he_normal}
>>> for name, init in draws.items():  # the variance of the weights times those that come in
...     print(name, round(float(100 * jnp.var(init(jax.random.key(0), (100, 300)))), 1))
lecun 1.0
glorot 0.5
he 2.0
>>> xavier_normal is glorot_normal, kaiming_normal is he_normal
(True, True)
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import initializers as jax_initializers

Initializer = Callable[..., Array]

variance_scaling = jax_initializers.variance_scaling
zeros = jax_initializers.zeros
ones = jax_initializers.ones
normal = jax_initializers.normal
constant = jax_initializers.constant


def _untruncated(scale: float, mode: str) -> Initializer:
    """Normal with variance `scale / fan`; fans count the window (receptive field)."""

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[mode]
        std = jnp.asarray(math.sqrt(scale / fan), dtype)
        return jax.random.normal(key, tuple(shape), dtype) * std

    return init


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """`(fan_in, fan_out)` of a kernel `(*window, in, out)`: the window's size times in, or out.

    Raises ValueError for fewer than two axes, or an empty one.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2 or min(shape) < 1:
        raise ValueError(
            f"shape {tuple(shape)} has no fans; expected (*window, in, out), every size positive"
        )
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


# Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998: variance 2/(in + out), 2/in, 1/in.
glorot_normal = xavier_normal = _untruncated(1.0, "fan_avg")
glorot_uniform = xavier_uniform = jax_initializers.glorot_uniform()
glorot_truncated_normal = jax_initializers.glorot_normal()
he_normal = kaiming_normal = _untruncated(2.0, "fan_in")
he_uniform = kaiming_uniform = jax_initializers.he_uniform()
he_truncated_normal = jax_initializers.he_normal()
lecun_normal = _untruncated(1.0, "fan_in")
lecun_uniform = jax_initializers.lecun_uniform()
lecun_truncated_normal = jax_initializers.lecun_normal()
# U(-1/sqrt(in), 1/sqrt(in)), variance 1/(3 in): the "standard" one of Glorot and Bengio 2010.
standard_uniform = variance_scaling(1 / 3, "fan_in", "uniform")


def orthogonal(gain: float = 1.0) -> Initializer:
    """Orthonormal columns (or rows, whichever are fewer) of the flattened kernel, times `gain`.

    Drawn in float32 where `dtype` is half precision. Source: Saxe et al. 2014.

    >>> import jax, jax.numpy as jnp
    >>> kernel = orthogonal()(jax.random.key(0), (8, 4))
    >>> bool(jnp.allclose(kernel.T @ kernel, jnp.eye(4), atol=1e-5))
    True
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        fans(shape)  # refuses what is no kernel
        wide = jnp.float32 if jnp.dtype(dtype).itemsize < 4 else dtype
        return jax_initializers.orthogonal(gain)(key, tuple(shape), wide).astype(dtype)

    return init


def delta_orthogonal(gain: float = 1.0) -> Initializer:
    """Zero but for the window's centre, which is orthogonal (Xiao et al. 2018); needs in <= out.

    >>> import jax, jax.numpy as jnp
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
                "a norm cannot be kept in fewer channels"
            )
        centre = orthogonal(gain)(key, shape[-2:], dtype)
        return jnp.zeros(tuple(shape), dtype).at[_centre(shape)].set(centre)

    return init


def dirac(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """The convolution that copies input channel i to output channel i (the identity).

    >>> import jax
    >>> dirac(jax.random.key(0), (3, 1, 1))[:, 0, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    del key
    fans(shape)  # refuses what is no kernel
    centre = jnp.eye(shape[-2], shape[-1], dtype=dtype)
    return jnp.zeros(tuple(shape), dtype).at[_centre(shape)].set(centre)


def scaled(initializer: Initializer, gain: float) -> Initializer:
    """`gain` times what `initializer` gives.

    >>> import jax
    >>> float(scaled(ones, 0.5)(jax.random.key(0), (2, 2))[0, 0])
    0.5
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return initializer(key, shape, dtype) * jnp.asarray(gain, dtype)

    return init


def gain(activation: Callable[[Array], Array]) -> float:
    """`E[f(z)^2] ** -0.5`, z standard normal: the kernel gain that keeps the second moment.

    This is He et al.'s rule for any activation (sqrt 2 for relu); `activations.facts(f).gain`
    divides by the variance instead, for signals that are centred on the way.

    >>> import jax
    >>> round(gain(jax.nn.relu), 4)
    1.4142
    """
    z = np.linspace(-10, 10, 200_001)
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    values = np.asarray(activation(jnp.asarray(z, jnp.float32)), np.float64)
    return float((weights @ values**2) ** -0.5)


def lsuv(
    preactivations: Callable[[list[Array]], list[Array]],
    kernels: Sequence[Array],
    *,
    tolerance: float = 0.05,
    max_iterations: int = 10,
) -> list[Array]:
    """Layer-sequential unit variance: scale each kernel until its layer's output has variance 1.

    `preactivations(kernels)` returns every layer's output before its activation for one batch, in
    forward order. Layers are scaled first to last, each until its standard deviation is within
    `tolerance` of 1 (one division is enough where the layer is linear in its kernel). Start from
    orthogonal kernels for the published method (Mishkin and Matas 2016). `jcnn.diagnosis.lsuv` does
    it for a whole model.

    Raises ValueError for a layer whose output does not vary.

    >>> import jax, jax.numpy as jnp
    >>> x = jax.random.normal(jax.random.key(0), (256, 16))
    >>> (kernel,) = lsuv(lambda kernels: [x @ kernels[0]], [3.0 * jnp.eye(16)])
    >>> bool(jnp.abs(jnp.var(x @ kernel) - 1) < 0.1)
    True
    """
    scaled_kernels = list(kernels)
    for layer in range(len(scaled_kernels)):
        for _ in range(max_iterations):
            std = jnp.std(preactivations(scaled_kernels)[layer].astype(jnp.float32))
            if float(std) == 0.0 or not bool(jnp.isfinite(std)):
                raise ValueError(
                    f"lsuv: the output of layer {layer} has standard deviation {float(std)}; "
                    "expected a positive one: start from other kernels or another batch"
                )
            if abs(float(std) - 1) <= tolerance:
                break
            kernel = scaled_kernels[layer]
            scaled_kernels[layer] = (kernel / std.astype(kernel.dtype)).astype(kernel.dtype)
    return scaled_kernels


class DataDriven:
    """An initializer, after which a model's kernels are to be rescaled on a batch of its data.

    It draws what `initializer` does. What builds a model with one and has the data at hand, as
    `jcnn.Study` does, goes on with `jcnn.diagnosis.lsuv`, which scales every layer of the model;
    who builds a model by hand calls it.

    >>> import jax
    >>> init = DataDriven(he_normal)
    >>> bool((init(jax.random.key(0), (2, 3)) == he_normal(jax.random.key(0), (2, 3))).all())
    True
    """

    def __init__(self, initializer: Initializer) -> None:
        self.initializer = initializer

    def __call__(self, key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        """What `initializer` gives."""
        return self.initializer(key, shape, dtype)


# Mishkin and Matas 2016: orthogonal kernels, then scaled layer by layer.
lsuv_orthogonal = DataDriven(orthogonal())


def _centre(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple((size - 1) // 2 for size in shape[:-2])
