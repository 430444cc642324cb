"""A LeNet for clips and volumes whose kernels span a number of frames (or slices)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from harness.networks import HE
from jcnn import layers, pooling


class MeanOverTime(nnx.Module):
    """The mean over the first axis after the batch axis."""

    def __call__(self, x: Array) -> Array:
        """Average `(n, time, ...)` to `(n, ...)`."""
        return jnp.mean(x, axis=1)


def lenet_3d(
    input_shape: Sequence[int],
    outputs: int,
    *,
    frames: int,
    features: Sequence[int] = (4, 8),
    rngs: nnx.Rngs,
) -> layers.Sequential:
    """Build a LeNet for `(time, height, width, channels)` with kernels of `frames` x 3 x 3.

    Pooling is over height and width only, and time is averaged at the end, so networks of 1 and 3
    frames differ only in their kernels: with 1, each frame passes through a 2-D network by itself.
    """
    _, height, width, channels = input_shape
    chain: dict[str, Any] = {}
    for i, out_features in enumerate(features, start=1):
        chain[f"conv{i}"] = layers.Conv(
            channels, out_features, (frames, 3, 3), kernel_init=HE, rngs=rngs
        )
        chain[f"relu{i}"] = layers.Activation(jax.nn.relu)
        chain[f"pool{i}"] = layers.Pool(pooling.max_pool, (1, 2, 2))
        channels, height, width = out_features, height // 2, width // 2
    chain["mean"] = MeanOverTime()
    chain["flatten"] = layers.Flatten()
    output = layers.Dense(height * width * channels, outputs, kernel_init=HE, rngs=rngs)
    return layers.Sequential(**chain, output=output)


def shuffle_frames(clips: np.ndarray) -> np.ndarray:
    """Shuffle the frames of each clip separately, always in the same way."""
    rng = np.random.default_rng(0)
    order = rng.permuted(np.tile(np.arange(clips.shape[1]), (len(clips), 1)), axis=1)
    return clips[np.arange(len(clips))[:, None], order]
