"""Ways to convolve many models' images with many models' kernels, with both gradients."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from accelerator_parts.part import Setting
from harness.timing import time_call
from jcnn.bench.clock import interleaved
from jcnn.bench.ops import forward_backward
from jcnn.convolution import conv

# Size of the images, input and output channels; 3x3 windows.
SHAPES = ((28, 1, 32), (14, 32, 64), (32, 16, 16), (16, 64, 128))
MODELS, BATCH = 16, 128


def convolutions(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time each way for each shape and dtype, in milliseconds per model."""
    models, batch = (2, 2) if setting.smoke else (MODELS, BATCH)
    for dtype in ("float32", "bfloat16"):
        for size, inputs, outputs in SHAPES[:1] if setting.smoke else SHAPES:
            label = f"3x3 {inputs}->{outputs} {size}x{size}, {dtype}, {models} models"
            if not setting.in_time(label):
                continue
            keys = jax.random.split(jax.random.key(0), 2)
            x = jax.random.normal(keys[0], (models, batch, size, size, inputs), dtype)
            kernel = jax.random.normal(keys[1], (models, 3, 3, inputs, outputs), dtype) / 3
            sides = {name: time_call(way, x, kernel) for name, way in WAYS.items()}
            timings = interleaved(sides, setting.rounds)
            yield (
                label,
                {name: round(1e3 * timing.median / models, 5) for name, timing in timings.items()},
            )


def _columns(x: Array, kernel: Array) -> Array:
    """Convolve as one matrix product, with every window as a row."""
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(taps, -1) @ kernel.reshape(-1, kernel.shape[-1])


def _one_by_one(x: Array, kernel: Array) -> Any:
    return jax.lax.map(lambda operands: forward_backward(conv)(*operands), (x, kernel))


WAYS: dict[str, Callable[[Array, Array], Any]] = {
    "grouped convolution": jax.vmap(forward_backward(conv)),
    "matrix product of columns": jax.vmap(forward_backward(_columns)),
    "one after another": _one_by_one,
}
