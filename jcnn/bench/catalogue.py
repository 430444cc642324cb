"""The operations that are timed, and their counterparts in Flax and PyTorch."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import activations, convolution, normalization, pooling

IMAGES = (128, 28, 28, 32)


@dataclass(frozen=True)
class Op:
    """An operation on `(x, kernel)` (convolutions) or `x`, and its counterparts.

    `torch` are the options of the same operation in PyTorch, which is selected by `kind`.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    function: Callable[..., Array]
    flax: Callable[..., Array] | None = None
    torch: Mapping[str, Any] | None = None
    kernel: tuple[int, ...] | None = None

    def operands(self, dtype: Any = jnp.float32) -> tuple[Array, ...]:
        """Return random operands."""
        keys = jax.random.split(jax.random.key(0), 2)
        x = jax.random.normal(keys[0], self.shape, dtype)
        if self.kernel is None:
            return (x,)
        fan_in = math.prod(self.kernel[:-1])
        return x, jax.random.normal(keys[1], self.kernel, dtype) * fan_in**-0.5

    def work(self, dtype: Any = jnp.float32) -> tuple[float, float]:
        """Return the FLOPs and least bytes moved, forward and backward: of x, y, dy and dx."""
        y = jax.eval_shape(self.function, *self.operands(dtype))
        inputs = math.prod(self.shape)
        flops = 0.0
        if self.kernel is not None:
            flops = 3.0 * 2 * math.prod(self.kernel[:-1]) * math.prod(y.shape)
        return flops, jnp.dtype(dtype).itemsize * 2.0 * (inputs + math.prod(y.shape))

    def enlarged(self, times: int) -> "Op":
        """Return the operation on a batch `times` as large."""
        return replace(self, shape=(times * self.shape[0], *self.shape[1:]))


def _flax_pool(pool: Callable[..., Array], window: int, strides: int) -> Callable[..., Array]:
    return lambda x: pool(x, (window,) * 2, strides=(strides,) * 2)


def _pools() -> Iterator[Op]:
    for window, strides in ((2, 2), (3, 2)):
        options = {"window": window, "strides": strides}
        for kind in ("max", "avg", "l2", "weighted_avg"):
            function = getattr(pooling, f"{kind}_pool")
            flax = {"max": nnx.max_pool, "avg": nnx.avg_pool}.get(kind)
            yield Op(
                f"{kind}_pool {window}x{window}/{strides}",
                f"{kind}_pool",
                IMAGES,
                partial(function, window_shape=(window,) * 2, strides=strides),
                None if flax is None else _flax_pool(flax, window, strides),
                options,
            )
        yield Op(
            f"stochastic_pool {window}x{window}/{strides}",
            "stochastic",
            IMAGES,
            partial(_stochastic_pool, window_shape=(window,) * 2, strides=strides),
        )
    for kind in ("mixed", "soft", "gem"):
        function = getattr(pooling, f"{kind}_pool")
        yield Op(f"{kind}_pool 2x2/2", kind, IMAGES, partial(function, window_shape=(2, 2)))
    for kind, window in (("max", 5), ("max", 13), ("avg", 7)):
        function = getattr(pooling, f"{kind}_pool")
        yield Op(
            f"{kind}_pool {window}x{window}/1",
            f"{kind}_pool",
            (16, *IMAGES[1:]),
            partial(function, window_shape=(window,) * 2, strides=1),
            _flax_pool({"max": nnx.max_pool, "avg": nnx.avg_pool}[kind], window, 1),
            {"window": window, "strides": 1},
        )


def _stochastic_pool(x: Array, window_shape: tuple[int, int], strides: int) -> Array:
    # The key depends on x, so that a loop must draw again.
    seed = jax.lax.bitcast_convert_type(x[(0,) * x.ndim].astype(jnp.float32), jnp.uint32)
    return pooling.stochastic_pool(x, window_shape, strides, key=jax.random.key(seed))


def _flax_conv(x: Array, kernel: Array, strides: int, feature_group_count: int) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (strides,) * 2,
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=feature_group_count,
    )


def _convs() -> Iterator[Op]:
    for size, inputs, outputs in ((28, 1, 32), (14, 32, 64), (16, 64, 128), (32, 16, 16)):
        yield _conv(size, inputs, outputs)
    yield _conv(32, 16, 32, strides=2)
    yield _conv(16, 64, 128, window=1)
    yield _conv(28, 32, 32, groups=32)


def _conv(
    size: int, inputs: int, outputs: int, *, window: int = 3, strides: int = 1, groups: int = 1
) -> Op:
    kind = "depthwise" if groups > 1 else "conv"
    options: dict[str, Any] = {"strides": strides, "feature_group_count": groups}
    return Op(
        f"{kind} {window}x{window}{f'/{strides}' if strides > 1 else ''} "
        f"{inputs}->{outputs} {size}x{size}",
        "conv",
        (128, size, size, inputs),
        partial(convolution.conv, **options),
        partial(_flax_conv, **options),
        {"out": outputs, "window": window, "stride": strides, "groups": groups},
        (window, window, inputs // groups, outputs),
    )


def _elementwise() -> Iterator[Op]:
    for kind in ("relu", "tanh", "sigmoid", "gelu"):
        yield Op(kind, kind, IMAGES, getattr(activations, kind), torch={})
    yield Op("batch_norm", "batch_norm", IMAGES, normalization.batch_norm, torch={})
    yield Op("layer_norm", "layer_norm", IMAGES, normalization.layer_norm, torch={})
    group_norm = partial(normalization.group_norm, num_groups=8)
    yield Op("group_norm", "group_norm", IMAGES, group_norm, torch={"groups": 8})


def catalogue() -> list[Op]:
    """Return every operation to be timed."""
    return [*_pools(), *_convs(), *_elementwise()]
