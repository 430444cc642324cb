"""Does pooling make predictions robust to shifts?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness.claim import Claim, Criterion
from harness.found import Found, row_of
from harness.nets import HE
from jcnn import data, layers, pooling
from jcnn.study import Study
from textbook import canvas, shared, trained
from textbook.criteria import POINTS, at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
MOVES = ((1, 1), (-1, 1), (1, 2), (-1, 2))  # by one pixel: down, up, right, left
TRAINING = {"none": "", "shift:1": ", trained on shifts"}
CONSISTENT = "predictions unchanged by a shift of one pixel, points more than"
SHUFFLED = "predictions unchanged by the same change of pixels, shuffled, points more than"
CHANGE = "change under a shift of one pixel, over that of plain subsampling"
OTHERS = {"none": "no pooling", "stride": "strided convolution"}


def shrinking(
    input_shape: Sequence[int], outputs: int, *, shrink: str, rngs: nnx.Rngs
) -> layers.Sequential:
    """Two convolutions and two dense layers, each convolution shrunk by 2 by pooling or strides.

    Without either, a 1x1 convolution to two channels leaves as many features to the dense layers,
    so that all kinds have as many parameters (and that one 66 more).
    """
    height, width, channels = input_shape
    chain: dict[str, Any] = {}
    for i, features in enumerate((16, 32), start=1):
        strides = 2 if shrink == "stride" else 1
        chain[f"conv{i}"] = layers.Conv(
            channels, features, (3, 3), strides=strides, kernel_init=HE, rngs=rngs
        )
        chain[f"relu{i}"] = layers.Activation(jax.nn.relu)
        if shrink in POOLS:
            chain[f"pool{i}"] = layers.Pool(POOLS[shrink], (2, 2))
        channels = features
    if shrink == "none":
        chain["thin"] = layers.Conv(channels, 2, (1, 1), kernel_init=HE, rngs=rngs)
        chain["relu_thin"] = layers.Activation(jax.nn.relu)
    chain["flatten"] = layers.Flatten()
    chain["hidden"] = layers.Dense(height * width * 2, 64, kernel_init=HE, rngs=rngs)
    chain["relu_hidden"] = layers.Activation(jax.nn.relu)
    return layers.Sequential(**chain, output=layers.Dense(64, outputs, kernel_init=HE, rngs=rngs))


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """What a shift does to pooled images, and to what networks say."""
    digits = canvas.placed(12, centred=True)
    for group in np.array_split(digits.test_inputs.astype(np.float32), 8):
        changes = {name: _change(pool, group) for name, pool in POOLS.items()}
        plain = _change(lambda x, _: x[:, ::2, ::2], group)
        for name, change in changes.items():
            found.add(f"pooled images, {name}: {CHANGE}", change / plain)
        found.add(f"images as they are: {CHANGE}", _change(lambda x, _: x, group) / plain)
    if configuration["train"]:
        _train(configuration, found, digits)


def _change(pool: Any, images: np.ndarray) -> float:
    """|pool(shifted) - pool(image)| over |pool(image)|, mean over the four shifts."""
    before = pool(jnp.asarray(images), (2, 2))
    moved = [pool(jnp.asarray(np.roll(images, *move)), (2, 2)) for move in MOVES]
    size = jnp.linalg.norm(before)
    return float(np.mean([jnp.linalg.norm(after - before) / size for after in moved]))


def _train(configuration: Mapping[str, Any], found: Found, digits: data.Dataset) -> None:
    study = Study(
        data=digits,
        model=shrinking,
        factors={"shrink": [*POOLS, *OTHERS], "augmentation": list(TRAINING)},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = shared.run(found, study, "shrinking")
    images = digits.test_inputs.astype(np.float32)
    moved = [np.roll(images, *move) for move in MOVES]
    rng = np.random.default_rng(0)
    flat = [(after - images).reshape(len(images), -1) for after in moved]
    shuffled = [images + rng.permuted(one, axis=1).reshape(images.shape) for one in flat]
    inputs = np.concatenate([images, *moved, *shuffled])
    for augmentation, condition in TRAINING.items():
        unchanged = {}
        for shrink in (*POOLS, *OTHERS):
            row = row_of(result, shrink=shrink, augmentation=augmentation)
            first, *others = np.split(trained.predictions(study, row, inputs), 9, axis=1)
            same = [100 * np.mean(other == first, axis=1) for other in others]
            unchanged[shrink] = np.mean(same[:4], axis=0), np.mean(same[4:], axis=0)
            found.add(f"{shrink}{condition}: predictions unchanged, %", *unchanged[shrink][0])
            found.add(f"{shrink}{condition}: test accuracy", *np.nan_to_num(row.values))
        for pool in POOLS:
            for other, name in OTHERS.items():
                for i, figure in enumerate((CONSISTENT, SHUFFLED)):
                    more = unchanged[pool][i] - unchanged[other][i]
                    found.add(f"{_named(pool, other, condition, i)}: {figure} {name}", *more)


def _named(pool: str, other: str, condition: str, shuffled: int = 0) -> str:
    return f"{'shuffled, ' if shuffled else ''}{pool} against {OTHERS[other]}{condition}"


CLAIM = Claim(
    name="pooling-shifts",
    source="Goodfellow et al. 2016, section 9.3; usual in textbooks",
    statement="Pooling makes predictions robust to small shifts.",
    configuration={
        "learning_rates": (0.3, 0.1, 0.03, 0.01),
        "seeds": 5,
        "epochs": 15,
        "train": True,
    },
    quick={"train": False},
    criteria=[
        *(
            at_least(
                f"{_named(pool, other, condition)}: {CONSISTENT} {name}",
                POINTS,
                f"{_named(pool, other, condition, 1)}: {SHUFFLED} {name}",
            )
            for condition in TRAINING.values()
            for other, name in OTHERS.items()
            for pool in POOLS
        ),
        *(
            Criterion(
                f"pooled images, {pool}: {CHANGE}",
                -math.inf,
                0.8,
                f"images as they are: {CHANGE}",
                of="interval",
            )
            for pool in POOLS
        ),
    ],
    measure=measure,
)
