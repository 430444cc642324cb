"""Layer-sequential unit variance: kernels scaled on a batch of data (Mishkin and Matas 2016)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from jcnn.initializers._named import Initializer, factory
from jcnn.initializers._orthogonal import orthogonal


def lsuv(
    preactivations: Callable[[list[Array]], list[Array]],
    kernels: Sequence[Array],
    *,
    tolerance: float = 0.05,
    max_iterations: int = 10,
) -> list[Array]:
    """Layer-sequential unit variance: scale each kernel until its layer's output has variance 1.

    `preactivations(kernels)` returns the output of each layer before its activation for one batch,
    in forward order. Layers are scaled from first to last, each until its standard deviation is
    within `tolerance` of 1 (one division is enough if the layer is linear in its kernel). Start
    from orthogonal kernels for the published method (Mishkin and Matas 2016).
    `jcnn.diagnosis.lsuv` does the same for a whole model.

    Raises ValueError for a layer whose output does not vary.

    >>> import jax
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


@dataclass(frozen=True)
class DataDriven:
    """An initializer after which the kernels of a model are rescaled on a batch of its data.

    It draws what `initializer` draws. `jcnn.Study` then calls `jcnn.diagnosis.lsuv`, which scales
    every layer of the model; if you build a model yourself, call it yourself.

    >>> import jax
    >>> from jcnn.initializers import he_normal
    >>> init, key = DataDriven(he_normal()), jax.random.key(0)
    >>> bool((init(key, (2, 3)) == he_normal()(key, (2, 3))).all())
    True
    """

    initializer: Initializer
    name: str = "data_driven"

    def __call__(self, key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        """Draw from `initializer`."""
        return self.initializer(key, shape, dtype)


_LSUV = DataDriven(orthogonal(), "lsuv")


@factory
def lsuv_orthogonal() -> DataDriven:
    """Orthogonal kernels that a study then scales layer by layer.

    >>> lsuv_orthogonal().name
    'lsuv'
    """
    return _LSUV
