"""Convolutions that see so many frames (or slices) at once; time is averaged over at the end."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from harness.nets import HE
from jcnn import layers, pooling


class MeanOverTime(nnx.Module):
    """The mean over the first axis after the batch's."""

    def __call__(self, x: Array) -> Array:
        """`(n, time, ...)` to `(n, ...)`."""
        return jnp.mean(x, axis=1)


def through_time(
    input_shape: Sequence[int],
    outputs: int,
    *,
    frames: int,
    features: Sequence[int] = (4, 8),
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """LeNet of `(time, height, width, channels)` with kernels of `frames` x 3 x 3.

    Pooling is over height and width alone, so that nets of 1 and of 3 frames differ in their
    kernels only: with 1 each frame goes through a 2-D net by itself.
    """
    _, height, width, channels = input_shape
    chain: dict[str, Any] = {}
    for i, own in enumerate(features, start=1):
        chain[f"conv{i}"] = layers.Conv(channels, own, (frames, 3, 3), kernel_init=HE, rngs=rngs)
        chain[f"relu{i}"] = layers.Activation(jax.nn.relu)
        chain[f"pool{i}"] = layers.Pool(pooling.max_pool, (1, 2, 2))
        channels, height, width = own, height // 2, width // 2
    chain["mean"] = MeanOverTime()
    chain["flatten"] = layers.Flatten()
    output = layers.Dense(height * width * channels, outputs, kernel_init=HE, rngs=rngs)
    return layers.Sequential(**chain, output=output)


def shuffled(clips: np.ndarray) -> np.ndarray:
    """The frames of each clip in an order of its own, drawn once and for all."""
    rng = np.random.default_rng(0)
    order = rng.permuted(np.tile(np.arange(clips.shape[1]), (len(clips), 1)), axis=1)
    return clips[np.arange(len(clips))[:, None], order]
