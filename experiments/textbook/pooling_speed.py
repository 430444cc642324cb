"""Does pooling speed up computation?"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
from flax import nnx
from jax import Array

from harness import timing
from harness.claim import Claim
from harness.measurements import Measurements
from harness.networks import HE
from jcnn import layers, pooling
from textbook.shared import digit_images
from textbook.shared.criteria import TIME, at_least

WITHOUT = "time per step, without pooling over with"
STRIDES = "time per step, strides of 2 over pooling"
BASE, NULL = "pooling", "pooling by 1"
HEADS = ("dense head", "global average head")


class GlobalAverage(nnx.Module):
    """Global average pooling."""

    def __call__(self, x: Array) -> Array:
        """Average `(n, height, width, c)` to `(n, c)`."""
        return pooling.global_avg_pool(x)


def downsampling_cnn(
    input_shape: Sequence[int], outputs: int, *, kind: str, head: str, rngs: nnx.Rngs
) -> layers.Sequential:
    """Build two convolutions, downsampled as `kind` says, then `head` and a dense layer."""
    height, width, channels = input_shape
    chain: dict[str, Any] = {}
    for i, features in enumerate((16, 32), start=1):
        strides = 2 if kind == "strides of 2" else 1
        chain[f"conv{i}"] = layers.Conv(
            channels, features, (3, 3), strides=strides, kernel_init=HE, rngs=rngs
        )
        chain[f"relu{i}"] = layers.Activation(jax.nn.relu)
        if kind in (BASE, NULL):
            window = 2 if kind == BASE else 1
            chain[f"pool{i}"] = layers.Pool(pooling.max_pool, (window, window))
        channels = features
    factor = 4 if kind in (BASE, "strides of 2") else 1
    size = height // factor * (width // factor) * channels
    if head == HEADS[0]:
        chain["flatten"] = layers.Flatten()
        chain["hidden"] = layers.Dense(size, 64, kernel_init=HE, rngs=rngs)
        chain["relu_hidden"] = layers.Activation(jax.nn.relu)
        channels = 64
    else:
        chain["average"] = GlobalAverage()
    return layers.Sequential(
        **chain, output=layers.Dense(channels, outputs, kernel_init=HE, rngs=rngs)
    )


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Time training steps of networks that differ in how they downsample."""
    dataset = digit_images.enlarged_digits(3)
    for head in HEADS:
        arms = {
            kind: timing.time_step(
                partial(downsampling_cnn, kind=kind, head=head), dataset, configuration["steps"]
            )
            for kind in (BASE, "no pooling", NULL, "strides of 2")
        }
        rounds = configuration["blocks"], configuration["rounds"]
        ratios = timing.relative_times(arms, BASE, *rounds)
        measurements.add(f"{head}: {WITHOUT}", *ratios["no pooling"])
        measurements.add(f"against strides of 2, {head}: {STRIDES}", *ratios["strides of 2"])
        measurements.add(f"{NULL}, {head}: {WITHOUT}", *(ratios["no pooling"] / ratios[NULL]))


CLAIM = Claim(
    name="pooling-speed",
    source="Goodfellow et al. 2016, section 9.3; usual in textbooks",
    statement="Pooling speeds up computation.",
    configuration={"steps": 6, "blocks": 5, "rounds": 3},
    criteria=[
        *(at_least(f"{head}: {WITHOUT}", TIME, f"{NULL}, {head}: {WITHOUT}") for head in HEADS),
        *(at_least(f"against strides of 2, {head}: {STRIDES}", TIME) for head in HEADS),
    ],
    measure=measure,
)
