"""What every model is made of: a convolution or dense layer, its normalization and activation."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx
from jax import Array

from jcnn import layers

Layers = dict[str, Callable[[Array], Array]]


def conv_block(
    name: str,
    in_features: int,
    out_features: int,
    kernel_size: Sequence[int],
    *,
    activation: Callable[[Array], Array],
    kernel_init: Callable[..., Array],
    normalization: layers.Normalization | None,
    dtype: Any,
    rngs: nnx.Rngs,
) -> Layers:
    """`conv -> normalization -> activation`, keyed `conv<name>`, `norm<name>`, `activation<name>`.

    A bias before a normalization would be subtracted again, so there is none.
    """
    block: Layers = {
        f"conv{name}": layers.Conv(
            in_features,
            out_features,
            kernel_size,
            use_bias=normalization is None,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
    }
    return block | _after(name, out_features, activation, normalization, rngs)


def dense_block(
    name: str,
    in_features: int,
    out_features: int,
    *,
    activation: Callable[[Array], Array],
    kernel_init: Callable[..., Array],
    normalization: layers.Normalization | None,
    dtype: Any,
    rngs: nnx.Rngs,
) -> Layers:
    """`dense -> normalization -> activation`, keyed like `conv_block`'s."""
    block: Layers = {
        f"dense{name}": layers.Dense(
            in_features,
            out_features,
            use_bias=normalization is None,
            kernel_init=kernel_init,
            dtype=dtype,
            rngs=rngs,
        )
    }
    return block | _after(name, out_features, activation, normalization, rngs)


def spatial_and_channels(input_shape: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """The parts of the `input_shape` of a convolution, or a ValueError that says the fix."""
    if not 2 <= len(input_shape) <= 4:
        raise ValueError(
            f"input_shape={tuple(input_shape)}; expected (*spatial, channels) with 1 to 3 spatial "
            "axes; for flat inputs use the mlp model"
        )
    return tuple(input_shape[:-1]), input_shape[-1]


def pooled_shape(spatial: Sequence[int], window: int) -> tuple[int, ...]:
    """The spatial shape after non-overlapping VALID pooling, or a ValueError that says the fix."""
    pooled = tuple(size // window for size in spatial)
    if min(pooled, default=1) < 1:
        raise ValueError(
            f"pooling by {window} leaves nothing of the spatial shape {tuple(spatial)}; "
            "use larger inputs or a model with fewer pooling stages"
        )
    return pooled


def _after(
    name: str,
    features: int,
    activation: Callable[[Array], Array],
    normalization: layers.Normalization | None,
    rngs: nnx.Rngs,
) -> Layers:
    norm: Layers = {}
    if normalization is not None:
        norm = {f"norm{name}": normalization(features, rngs=rngs)}
    return norm | {f"activation{name}": layers.Activation(activation)}
