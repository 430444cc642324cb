"""Zhang 2019: a blur before subsampling makes predictions consistent under shifts."""

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
from harness.found import Found, row_of
from harness.images import images
from harness.nets import HE
from jcnn import layers, pooling
from jcnn.study import Study, train_seeds
from jcnn.training import network_outputs

WRAP = ((0, 0), (0, 1), (0, 1), (0, 0))


def dense_max(x: Array) -> Array:
    """The maximum over 2x2 at every position, on a torus."""
    return pooling.max_pool(jnp.pad(x, WRAP, mode="wrap"), (2, 2), 1)


def blurred(x: Array, filter_size: int) -> Array:
    """`dense_max`, then every other position after a blur."""
    return pooling.blur_pool(dense_max(x), (2, 2), "CIRCULAR", filter_size=filter_size)


POOLS: dict[str, Callable[[Array], Array]] = {
    "max": lambda x: pooling.max_pool(x, (2, 2)),
    "blur": partial(blurred, filter_size=3),
    "delta": partial(blurred, filter_size=1),
}


class CircularNet(nnx.Module):
    """Three convolutions on a torus, pooled by 2 but for the last, then means and a dense layer."""

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


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Accuracy and consistency of networks with and without the blur."""
    data = images("fashion-mnist", train=configuration["train"], test=configuration["test"])
    x = jnp.asarray(data.test_inputs[:64], jnp.float32) / 255
    nets = {n: CircularNet((28, 28, 1), 10, down=f, rngs=nnx.Rngs(0)) for n, f in POOLS.items()}
    for name in ("delta", "blur"):
        apart = jnp.abs(nets[name](x) - nets["max"](x)).max()
        found.add(f"outputs less those of max pooling, {name} filter", float(apart))
    study = Study(
        data=data,
        model=CircularNet,
        factors={"down": {name: POOLS[name] for name in ("max", "blur")}},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = found.run(study, "shift")
    rows = {name: row_of(result, down=name) for name in ("max", "blur")}
    prepared = study.prepare()
    shifts = np.random.default_rng(0).integers(28, size=(configuration["shifts"], 2))
    same = {}
    for name, row in rows.items():
        models = train_seeds(study, row.combination, row.learning_rate, prepared=prepared)
        same[name] = np.array([_consistency(model, prepared, shifts) for model in models])
        found.add(f"consistency, {name}", *same[name])
    found.add("consistency gained by the blur, points", *100 * (same["blur"] - same["max"]))
    # Max pooling against itself with a delta filter, whose outputs were seen to be the same.
    found.add("consistency gained by a delta filter, points", *0 * same["max"])
    drop = np.array(rows["max"].values) - np.array(rows["blur"].values)
    found.add("accuracy lost by the blur, points", *100 * drop)


def _consistency(model: nnx.Module, prepared: Any, shifts: np.ndarray) -> float:
    """How often an image is taken for one class under two of the shifts, over images and pairs."""
    inputs = prepared.dataset.test_inputs
    counts = np.zeros((len(inputs), 10))
    for shift in shifts:
        moved = np.roll(inputs, shift, axis=(1, 2))
        taken = network_outputs(model, moved, prepared.data).argmax(axis=-1)
        counts[np.arange(len(inputs)), taken] += 1
    k = len(shifts)
    return float((counts * (counts - 1)).sum(axis=1).mean() / (k * (k - 1)))


CLAIM = Claim(
    name="zhang2019-blurpool",
    source="Zhang 2019, section 4.1 and table 1 (Tri-3)",
    statement="A (1, 2, 1) blur before subsampling makes a CNN's predictions at least a point more "
    "consistent under shifts, and no less accurate.",
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
            "outputs less those of max pooling, delta filter",
            0.0,
            0.0,
            "outputs less those of max pooling, blur filter",
        ),
    ],
    measure=measure,
)
