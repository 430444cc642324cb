"""The parts that the models have in common, and the blocks built from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jax import Array

from jcnn import layers

Function = Callable[[Array], Array]
Layers = dict[str, Function]


@dataclass(frozen=True)
class Parts:
    """The parts under study. A model without pooling layers has `pooling=None`."""

    activation: Function
    kernel_init: Callable[..., Array]
    normalization: layers.Normalization | None
    dtype: Any
    pooling: Callable[..., Array] | None = None

    def conv(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        *,
        strides: int = 1,
        rngs: nnx.Rngs,
    ) -> layers.Conv:
        """A convolution; without a bias before a normalization, which would subtract it again."""
        return layers.Conv(
            in_features,
            out_features,
            kernel_size,
            strides,
            use_bias=self.normalization is None,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            rngs=rngs,
        )

    def dense(
        self, in_features: int, out_features: int, *, use_bias: bool, rngs: nnx.Rngs
    ) -> layers.Dense:
        """A dense layer."""
        return layers.Dense(
            in_features,
            out_features,
            use_bias=use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            rngs=rngs,
        )

    def pool(self, spatial_ndim: int, *, rngs: nnx.Rngs) -> layers.Pool:
        """Non-overlapping pooling by 2."""
        if self.pooling is None:
            raise ValueError("these parts have no pooling")
        return layers.Pool(self.pooling, (2,) * spatial_ndim, rngs=rngs)

    def conv_block(
        self,
        name: str,
        in_features: int,
        out_features: int,
        kernel_size: Sequence[int],
        *,
        rngs: nnx.Rngs,
    ) -> Layers:
        """`conv<name>`, `norm<name>` (if there is a normalization), `activation<name>`."""
        conv = self.conv(in_features, out_features, kernel_size, rngs=rngs)
        return {f"conv{name}": conv} | self._after(name, out_features, rngs)

    def dense_block(
        self, name: str, in_features: int, out_features: int, *, rngs: nnx.Rngs
    ) -> Layers:
        """`dense<name>`, `norm<name>` (if there is a normalization), `activation<name>`."""
        use_bias = self.normalization is None
        dense = self.dense(in_features, out_features, use_bias=use_bias, rngs=rngs)
        return {f"dense{name}": dense} | self._after(name, out_features, rngs)

    def _after(self, name: str, features: int, rngs: nnx.Rngs) -> Layers:
        norm: Layers = {}
        if self.normalization is not None:
            norm = {f"norm{name}": self.normalization(features, rngs=rngs)}
        return norm | {f"activation{name}": layers.Activation(self.activation)}


def spatial_and_channels(input_shape: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Split the `input_shape` of a convolutional network; ValueError if it has no such parts."""
    if not 2 <= len(input_shape) <= 4:
        raise ValueError(
            f"input_shape={tuple(input_shape)}; expected (*spatial, channels) with 1 to 3 spatial "
            "axes; for flat inputs use the mlp model"
        )
    return tuple(input_shape[:-1]), input_shape[-1]


def pooled_shape(spatial: Sequence[int], window: int) -> tuple[int, ...]:
    """Return the spatial shape after non-overlapping VALID pooling; ValueError if it is empty."""
    pooled = tuple(size // window for size in spatial)
    if min(pooled, default=1) < 1:
        raise ValueError(
            f"pooling by {window} leaves nothing of the spatial shape {tuple(spatial)}; "
            "use larger inputs or a model with fewer pooling stages"
        )
    return pooled
