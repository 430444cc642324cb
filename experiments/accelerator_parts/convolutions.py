"""Ways to convolve many models' images with many models' kernels, for each of the three maps."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from accelerator_parts.part import Setting
from jcnn.bench.clock import call_sampler, interleaved
from jcnn.convolution._columns import columns
from jcnn.convolution._geometry import Geometry, Result
from jcnn.convolution._plain import plain

# Size of the images, stride, input and output channels; 3x3 windows.
SHAPES = (
    (32, 1, 3, 16),
    (32, 1, 3, 64),
    (28, 1, 1, 32),
    (14, 1, 32, 64),
    (32, 1, 16, 16),
    (32, 2, 16, 32),
    (16, 1, 32, 32),
    (8, 1, 64, 64),
    (16, 1, 64, 128),
)
MODELS, BATCH = 16, 128
MAPS: tuple[Result, ...] = ("output", "input", "kernel")


def convolutions(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time each way for each map, shape and dtype, in milliseconds per model.

    `difference` is the largest norm of a way's difference from the first, relative to its norm.
    """
    models, batch = (2, 2) if setting.smoke else (MODELS, BATCH)
    for dtype in ("float32", "bfloat16"):
        for shape in SHAPES[:1] if setting.smoke else SHAPES:
            size, stride, inputs, outputs = shape
            label = f"3x3/{stride} {inputs}->{outputs} {size}x{size}, {dtype}, {models} models"
            if not setting.in_time(label):
                continue
            measured = {
                to: _measure(setting, to, *_operands(to, shape, models, batch, dtype))
                for to in MAPS
            }
            yield label, measured


def _operands(
    to: Result, shape: tuple[int, int, int, int], models: int, batch: int, dtype: str
) -> tuple[Array, Array, Geometry]:
    """Return the operands of the map, and its geometry, with padding "SAME"."""
    size, stride, inputs, outputs = shape
    out = -(-size // stride)
    total = (out - 1) * stride + 3 - size
    pads = (total // 2, total - total // 2)
    geometry = Geometry((size,) * 2, (3, 3), (out,) * 2, (stride,) * 2, (1, 1), (pads,) * 2)
    shapes = {
        "input": (models, batch, size, size, inputs),
        "kernel": (models, 3, 3, inputs, outputs),
        "output": (models, batch, out, out, outputs),
    }
    given = {"output": ("input", "kernel"), "input": ("output", "kernel")}.get(
        to, ("input", "output")
    )
    keys = jax.random.split(jax.random.key(0), 2)
    a, b = (jax.random.normal(k, shapes[name], dtype) for k, name in zip(keys, given, strict=True))
    return a, b, geometry


def _measure(
    setting: Setting, to: Result, a: Array, b: Array, geometry: Geometry
) -> dict[str, float]:
    ways: dict[str, Callable[[Array, Array], Array]] = {
        "grouped": lambda a, b: plain(a, b, result=to, geometry=geometry),
        "columns": jax.vmap(lambda a, b: columns(a, b, to, geometry)),
        "each alone": lambda a, b: jnp.concatenate(
            [plain(a[m : m + 1], b[m : m + 1], result=to, geometry=geometry) for m in range(len(a))]
        ),
    }
    compiled = {name: jax.jit(way).lower(a, b).compile() for name, way in ways.items()}
    first, *others = (program(a, b).astype(jnp.float32) for program in compiled.values())
    difference = max(jnp.linalg.norm(y - first) / jnp.linalg.norm(first) for y in others)
    sides = {name: call_sampler(program, a, b) for name, program in compiled.items()}
    timings = interleaved(sides, setting.rounds)
    milliseconds = {name: round(1e3 * t.median / len(a), 5) for name, t in timings.items()}
    return {**milliseconds, "difference": float(difference)}
