"""Does pooling make predictions robust to shifts?"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from harness import predictions, study_cache
from harness.claim import Claim, Criterion
from harness.measurements import Measurements, find_row
from harness.networks import HE
from jcnn import data, layers, pooling
from jcnn.study import Study
from textbook.shared import digit_images
from textbook.shared.criteria import POINTS, at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
MOVES = ((1, 1), (-1, 1), (1, 2), (-1, 2))  # (shift, axis) of one pixel down, up, right, left
TRAINING = {"none": "", "shift:1": ", trained on shifts"}
CONSISTENT = "predictions unchanged by a shift of one pixel, points more than"
SHUFFLED = "predictions unchanged by the same change of pixels, shuffled, points more than"
CHANGE = "change under a shift of one pixel, over that of plain subsampling"
OTHERS = {"none": "no pooling", "stride": "strided convolution"}


def downsampling_cnn(
    input_shape: Sequence[int], outputs: int, *, shrink: str, rngs: nnx.Rngs
) -> layers.Sequential:
    """Build two convolutions, each halved by pooling or strides, and two dense layers.

    Without either, a 1x1 convolution to two channels keeps the number of features for the dense
    layers, so that all networks have the same number of parameters (this one has 66 more).
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


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure the effect of a shift on pooled images and on predictions."""
    digits = digit_images.digits_on_canvas(12, centred=True)
    for group in np.array_split(digits.test_inputs.astype(np.float32), 8):
        changes = {name: _change(pool, group) for name, pool in POOLS.items()}
        subsampled = _change(lambda x, _: x[:, ::2, ::2], group)
        for name, change in changes.items():
            measurements.add(f"pooled images, {name}: {CHANGE}", change / subsampled)
        measurements.add(f"original images: {CHANGE}", _change(lambda x, _: x, group) / subsampled)
    if configuration["train"]:
        _train(configuration, measurements, digits)


def _change(pool: Any, images: np.ndarray) -> float:
    """Return |pool(shifted) - pool(image)| over |pool(image)|, averaged over the four shifts."""
    before = pool(jnp.asarray(images), (2, 2))
    moved = [pool(jnp.asarray(np.roll(images, *move)), (2, 2)) for move in MOVES]
    norm = jnp.linalg.norm(before)
    return float(np.mean([jnp.linalg.norm(after - before) / norm for after in moved]))


def _train(
    configuration: Mapping[str, Any], measurements: Measurements, digits: data.Dataset
) -> None:
    study = Study(
        data=digits,
        model=downsampling_cnn,
        factors={"shrink": [*POOLS, *OTHERS], "augmentation": list(TRAINING)},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = study_cache.run(measurements, study, "shrinking")
    images = digits.test_inputs.astype(np.float32)
    moved = [np.roll(images, *move) for move in MOVES]
    rng = np.random.default_rng(0)
    changes = [(after - images).reshape(len(images), -1) for after in moved]
    shuffled = [images + rng.permuted(change, axis=1).reshape(images.shape) for change in changes]
    inputs = np.concatenate([images, *moved, *shuffled])
    for augmentation, condition in TRAINING.items():
        unchanged = {}
        for shrink in (*POOLS, *OTHERS):
            row = find_row(result, shrink=shrink, augmentation=augmentation)
            first, *others = np.split(predictions.predict_classes(study, row, inputs), 9, axis=1)
            same = [100 * np.mean(other == first, axis=1) for other in others]
            unchanged[shrink] = np.mean(same[:4], axis=0), np.mean(same[4:], axis=0)
            measurements.add(
                f"{shrink}{condition}: predictions unchanged, %", *unchanged[shrink][0]
            )
            measurements.add(f"{shrink}{condition}: test accuracy", *np.nan_to_num(row.values))
        for pool in POOLS:
            for other, name in OTHERS.items():
                for i, figure in enumerate((CONSISTENT, SHUFFLED)):
                    more = unchanged[pool][i] - unchanged[other][i]
                    measurements.add(
                        f"{_condition(pool, other, condition, i)}: {figure} {name}", *more
                    )


def _condition(pool: str, other: str, condition: str, shuffled: int = 0) -> str:
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
                f"{_condition(pool, other, condition)}: {CONSISTENT} {name}",
                POINTS,
                f"{_condition(pool, other, condition, 1)}: {SHUFFLED} {name}",
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
                f"original images: {CHANGE}",
                of="interval",
            )
            for pool in POOLS
        ),
    ],
    measure=measure,
)
