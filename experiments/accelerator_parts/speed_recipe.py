"""A network for CIFAR-10 that trains in seconds, and its recipe.

The network and most of the recipe are those of Jordan 2024 (arXiv:2404.00498): a fixed whitening
convolution, three groups of two convolutions, and logits divided by 9; Nesterov's momentum with a
triangular learning rate, label smoothing, shifts by 2 pixels and flips. Left out are its
lookahead, alternating flips and test-time augmentation, which add about half a percent.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from accelerator_parts.part import Setting
from jcnn import data as datasets
from jcnn import engine, training
from jcnn.bench.workloads import WORKLOADS
from jcnn.data.augmentation import chain, random_flip, random_shift
from jcnn.initializers import he_uniform

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1.5, 0.85, 1.3e-3
# A bias b enters as BIAS_SCALE * b, so its learning rate is 64 times that of the kernels.
BIAS_SCALE = 8


@dataclass(frozen=True)
class Sizes:
    """The network's widths, and the length of training."""

    widths: tuple[int, int, int] = (64, 256, 256)
    batch: int = 1024
    epochs: int = 12
    seeds: int = 4


SMOKE = Sizes((4, 4, 4), 64, 1, 1)


class Fixed(nnx.Variable[Array]):
    """Weights that are not trained."""


class Normalized(nnx.Module):
    """A convolution, pooling if asked for, batch normalization with a bias alone, and GELU."""

    def __init__(self, inputs: int, outputs: int, pool: bool, dtype: Any, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(
            inputs,
            outputs,
            (3, 3),
            use_bias=False,
            kernel_init=partly_identity,
            dtype=dtype,
            rngs=rngs,
        )
        self.norm = nnx.BatchNorm(
            outputs, momentum=0.6, use_scale=False, use_bias=False, dtype=dtype, rngs=rngs
        )
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.pool = pool

    def __call__(self, x: Array) -> Array:
        """Return the features."""
        x = self.conv(x)
        if self.pool:
            x = nnx.max_pool(x, (2, 2), strides=(2, 2))
        x = self.norm(x)
        return nnx.gelu(x + (BIAS_SCALE * self.bias[...]).astype(x.dtype))


class SpeedNet(nnx.Module):
    """The network; `whitening` is `whitening_kernel` of the training images."""

    def __init__(
        self, whitening: Array, widths: tuple[int, int, int], dtype: Any, rngs: nnx.Rngs
    ) -> None:
        self.whitening = Fixed(whitening)
        self.bias = nnx.Param(jnp.zeros(whitening.shape[-1]))
        inputs = (whitening.shape[-1], *widths[:-1])
        self.blocks = nnx.List(
            [
                Normalized(first, outputs, pool, dtype, rngs)
                for before, outputs in zip(inputs, widths, strict=True)
                for first, pool in ((before, True), (outputs, False))
            ]
        )
        self.output = nnx.Linear(widths[-1], 10, use_bias=False, dtype=dtype, rngs=rngs)
        self.dtype = dtype

    def __call__(self, x: Array) -> Array:
        """Return logits of 32x32 images."""
        x = whiten(x.astype(self.dtype), self.whitening[...].astype(self.dtype))
        x = nnx.gelu(x + (BIAS_SCALE * self.bias[...]).astype(x.dtype))
        for block in self.blocks:
            x = block(x)
        return self.output(x.max((1, 2))).astype(jnp.float32) / 9


def partly_identity(key: Array, shape: Any, dtype: Any) -> Array:
    """Draw a kernel whose first outputs copy the inputs."""
    kernel = he_uniform()(key, shape, dtype) / 6**0.5  # PyTorch's scale
    count = min(shape[-2:])
    centre = (shape[0] // 2, shape[1] // 2)
    identity = jnp.zeros((*shape[:-1], count), dtype).at[*centre, :count].set(jnp.eye(count))
    return kernel.at[..., :count].set(identity)


def whiten(x: Array, kernel: Array) -> Array:
    """Convolve without padding."""
    return jnp.concatenate(patch_pixels(x), -1) @ kernel


def patch_pixels(images: Any) -> list[Any]:
    """Return the four pixels of all 2x2 patches of `(batch, height, width, channels)`."""
    height, width = (size - 1 for size in images.shape[1:3])
    return [images[:, i : height + i, j : width + j] for i in (0, 1) for j in (0, 1)]


def whitening_kernel(images: np.ndarray) -> Array:
    """Return a matrix that whitens the 2x2 patches of images, and its negative, as columns."""
    patches = np.concatenate(patch_pixels(images), -1).reshape(-1, 12).astype(np.float64)
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    scaled = vectors / np.sqrt(values + 5e-4)
    return jnp.asarray(np.concatenate([scaled, -scaled], 1), jnp.float32)


def cifar10(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Train with several seeds, one after another in one program; all data is on the device."""
    if setting.cifar10 is None and not setting.smoke:
        setting.left_out.append("everything: --cifar10 was not given")
        return
    if not setting.in_time("cifar10"):
        return
    sizes = SMOKE if setting.smoke else Sizes()
    dataset = WORKLOADS[-1].dataset() if setting.smoke else datasets.load(str(setting.cifar10))
    data = engine.prepare(dataset, 0.02)
    began = time.perf_counter()
    compiled = engine.CompiledGroup(group(data, sizes), data)
    compiling = time.perf_counter() - began
    run = engine.Training(compiled)
    began = time.perf_counter()
    for _ in run.run():
        pass
    seconds = time.perf_counter() - began
    accuracies = [outcome.test["accuracy"] for outcome in run.outcomes]
    steps = sizes.epochs * compiled.steps_per_epoch
    yield (
        f"{sizes.epochs} epochs, batches of {sizes.batch}, bfloat16",
        {
            "data": Path(dataset.source).name,
            "test accuracies": accuracies,
            "mean": float(np.mean(accuracies)),
            "seconds per training, with evaluation": seconds / sizes.seeds,
            "images per second": steps * sizes.batch * sizes.seeds / seconds,
            "compile seconds": compiling,
            "megabytes": compiled.memory / 1e6,
        },
    )


def group(data: training.Data, sizes: Sizes) -> engine.Group:
    """Return the runs with seeds 0 to `sizes.seeds - 1`, trained one after another."""
    steps = sizes.epochs * engine.steps_per_epoch(len(data.inputs), sizes.batch)
    recipe = training.Recipe(
        training.classification(label_smoothing=0.2),
        training.optimizers.nesterov,
        "linear",
        steps,
        warmup_steps=steps // 4,
        gradient_clip=None,
        augmentation=chain(partial(random_shift, max_shift=2), random_flip),
    )
    whitening = whitening_kernel(np.asarray(training.normalize(data.inputs[:5000], data)))

    def build(rngs: nnx.Rngs) -> nnx.Module:
        return SpeedNet(whitening, sizes.widths, jnp.bfloat16, rngs)

    numbers = training.Hyperparameters(LEARNING_RATE, MOMENTUM, WEIGHT_DECAY)
    runs = [engine.Run(0, seed, numbers) for seed in range(sizes.seeds)]
    return engine.Group([build], runs, recipe, sizes.batch, sizes.epochs, at_once=1)
