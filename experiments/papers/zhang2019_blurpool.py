"""Zhang 2019: blurring before subsampling makes predictions more consistent under shifts."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from harness.networks import HE
from harness.subsets import subset
from jcnn import layers, pooling
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs

WRAP = ((0, 0), (0, 1), (0, 1), (0, 0))


def dense_max(x: Array) -> Array:
    """Take the maximum over 2x2 windows with stride 1 and circular padding."""
    return pooling.max_pool(jnp.pad(x, WRAP, mode="wrap"), (2, 2), 1)


def blurred(x: Array, filter_size: int) -> Array:
    """Apply `dense_max`, then blur and keep every other position."""
    return pooling.blur_pool(dense_max(x), (2, 2), "CIRCULAR", filter_size=filter_size)


POOLS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: pooling.max_pool(x, (2, 2)),
    "blur": partial(blurred, filter_size=3),
    "delta": partial(blurred, filter_size=1),
}


class CircularNet(nnx.Module):
    """Three circular convolutions, two pooled by 2; then a global average and a dense layer."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        outputs: int,
        *,
        down: Callable[[Array], Array],
        widths: tuple[int, ...] = (16, 16, 32),
        rngs: nnx.Rngs,
    ) -> None:
        channels = (input_shape[-1], *widths)
        self.convs = nnx.List(
            layers.Conv(a, b, (3, 3), padding="CIRCULAR", kernel_init=HE, rngs=rngs)
            for a, b in zip(channels, widths, strict=False)
        )
        self.out = layers.Dense(widths[-1], outputs, kernel_init=HE, rngs=rngs)
        self.down = down

    def __call__(self, x: Array) -> Array:
        """Classify."""
        *earlier, last = self.convs
        for conv in earlier:
            x = self.down(jax.nn.relu(conv(x)))
        return self.out(pooling.global_avg_pool(jax.nn.relu(last(x))))


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure accuracy and consistency of networks with and without the blur."""
    data = subset("fashion-mnist", train=configuration["train"], test=configuration["test"])
    x = jnp.asarray(data.test_inputs[:64], jnp.float32) / 255
    nets = {n: CircularNet((28, 28, 1), 10, down=f, rngs=nnx.Rngs(0)) for n, f in POOLS.items()}
    for name in ("delta", "blur"):
        difference = jnp.abs(nets[name](x) - nets["max"](x)).max()
        measurements.add(
            f"largest difference from max pooling's outputs, {name} filter", float(difference)
        )
    study = Study(
        data=data,
        model=CircularNet,
        factors={"down": {name: POOLS[name] for name in ("max", "blur")}},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = measurements.run(study, "shift")
    rows = {name: find_row(result, down=name) for name in ("max", "blur")}
    prepared = study.prepare()
    shifts = np.random.default_rng(0).integers(28, size=(configuration["shifts"], 2))
    consistency = {}
    for name, row in rows.items():
        models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
        consistency[name] = np.array([_consistency(model, prepared, shifts) for model in models])
        measurements.add(f"consistency, {name}", *consistency[name])
    measurements.add(
        "consistency gained by the blur, points", *100 * (consistency["blur"] - consistency["max"])
    )
    # A delta filter leaves max pooling unchanged, as the outputs above show: the gain is 0.
    measurements.add("consistency gained by a delta filter, points", *0 * consistency["max"])
    drop = np.array(rows["max"].values) - np.array(rows["blur"].values)
    measurements.add("accuracy lost by the blur, points", *100 * drop)


def _consistency(model: nnx.Module, prepared: Any, shifts: np.ndarray) -> float:
    """Return how often two shifts of an image get the same class, over images and pairs."""
    inputs = prepared.dataset.test_inputs
    counts = np.zeros((len(inputs), 10))
    for shift in shifts:
        moved = np.roll(inputs, shift, axis=(1, 2))
        classes = network_outputs(model, moved, prepared.data).argmax(axis=-1)
        counts[np.arange(len(inputs)), classes] += 1
    k = len(shifts)
    return float((counts * (counts - 1)).sum(axis=1).mean() / (k * (k - 1)))


CLAIM = Claim(
    name="zhang2019-blurpool",
    source="Zhang 2019, section 4.1 and table 1 (Tri-3)",
    statement="A (1, 2, 1) blur before subsampling makes a CNN's predictions at least one point "
    "more consistent under shifts, and no less accurate.",
    configuration={
        "train": 8000,
        "test": 2000,
        "shifts": 12,
        "learning_rates": [0.3, 0.1, 0.03, 0.01],
        "seeds": 4,
        "epochs": 6,
    },
    full={"train": 60_000, "test": 10_000, "epochs": 20},
    criteria=[
        Criterion(
            "consistency gained by the blur, points",
            1.0,
            math.inf,
            "consistency gained by a delta filter, points",
            of="every",
        ),
        Criterion("accuracy lost by the blur, points", -math.inf, 0.3),
        Criterion(
            "largest difference from max pooling's outputs, delta filter",
            0.0,
            0.0,
            "largest difference from max pooling's outputs, blur filter",
        ),
    ],
    measure=measure,
)
