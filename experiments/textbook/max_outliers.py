"""Is max pooling sensitive to outlier pixels, and average pooling less so?"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from harness import predictions, study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from jcnn import data, pooling
from jcnn.study import Study
from textbook.shared.criteria import POINTS, at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
BRIGHT, DARK = 255, 0
SALT, PEPPER = (0.01, 0.02, 0.05, 0.1), 0.1
LOST = "accuracy lost, max minus average, points"
RESPONSE = "change of the pooled value, max over average"
NO_OUTLIER = "one pixel as bright as its window's brightest"
GROUPS = 9


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure the effect of one outlier on pooled values, and of many on trained networks."""
    images = data.load("digits").train_inputs
    for group in np.array_split(images, GROUPS):
        for name, value in (("bright", BRIGHT), ("dark", DARK)):
            measurements.add(
                f"one {name} outlier: {RESPONSE}", _response(group, lambda w, v=value: v)
            )
        measurements.add(
            f"{NO_OUTLIER}: {RESPONSE}", _response(group, lambda w: w.max(axis=(2, 4)))
        )
    if configuration["train"]:
        _train(configuration, measurements)


def _response(images: np.ndarray, outlier: Callable[[np.ndarray], Any]) -> float:
    """Change one pixel per 2x2 window; return the change of the maximum over that of the mean."""
    images = images.astype(np.float32)
    n, height, width, _ = images.shape
    changed = images.reshape(n, height // 2, 2, width // 2, 2).copy()
    changed[:, :, 0, :, 0] = outlier(changed)
    before, after = jnp.asarray(images), jnp.asarray(changed.reshape(images.shape))
    change = {
        name: float(jnp.abs(pool(after, (2, 2)) - pool(before, (2, 2))).mean())
        for name, pool in POOLS.items()
    }
    return change["max"] / change["average"]


def _train(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    study = Study(
        factors={"pooling": POOLS, "kernel_init": ["he_untruncated_normal"]},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = study_cache.run(measurements, study, "pooling")
    digits = data.load("digits")
    kinds = _noisy(digits.test_inputs.astype(np.float32), configuration["draws"])
    inputs = np.concatenate(list(kinds.values()))
    ends = np.cumsum([len(images) for images in kinds.values()])[:-1]
    lost: dict[str, dict[str, np.ndarray]] = {}
    for pool in POOLS:
        classes = predictions.predict_classes(study, find_row(result, pooling=pool), inputs)
        parts = np.split(classes, ends, axis=1)
        right = {
            kind: 100 * np.mean(part == np.resize(digits.test_targets, part.shape[1]), axis=1)
            for kind, part in zip(kinds, parts, strict=True)
        }
        lost[pool] = {kind: right["none"] - values for kind, values in right.items()}
        for kind, values in lost[pool].items():
            measurements.add(f"{pool}, {kind}: accuracy lost, points", *values)
    for kind in kinds:
        if kind != "none":
            measurements.add(f"{kind}: {LOST}", *(lost["max"][kind] - lost["average"][kind]))


def _noisy(images: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """Return the images with each kind of noise, `draws` times each.

    The null arm of the outliers is normal noise with the same mean square over each image.
    """
    rng = np.random.default_rng(0)
    repeated = np.concatenate([images] * draws)
    kinds = {"none": images}
    for share in SALT:
        salted = np.where(rng.random(repeated.shape) < share, np.float32(BRIGHT), repeated)
        strength = np.sqrt(np.square(salted - repeated).mean(axis=(1, 2, 3), keepdims=True))
        normal = rng.normal(size=repeated.shape).astype(np.float32)
        kinds[f"salt {share:.0%}"] = salted
        kinds[_null_arm(share)] = repeated + strength * normal
    kinds[f"pepper {PEPPER:.0%}"] = np.where(
        rng.random(repeated.shape) < PEPPER, np.float32(DARK), repeated
    )
    return kinds


def _null_arm(share: float) -> str:
    return f"normal noise as strong as salt {share:.0%}"


CLAIM = Claim(
    name="max-outliers",
    source="usual in textbooks",
    statement="Max pooling is sensitive to outlier pixels, average pooling less so.",
    configuration={
        "learning_rates": (1.0, 0.3, 0.1, 0.03, 0.01),
        "seeds": 8,
        "epochs": 15,
        "draws": 4,
        "train": True,
    },
    quick={"train": False},
    criteria=[
        *(
            at_least(f"salt {share:.0%}: {LOST}", POINTS, f"{_null_arm(share)}: {LOST}")
            for share in SALT
        ),
        at_least(f"pepper {PEPPER:.0%}: {LOST}", POINTS),
        at_least(f"one bright outlier: {RESPONSE}", 1.5, f"{NO_OUTLIER}: {RESPONSE}"),
        at_least(f"one dark outlier: {RESPONSE}", 1.5),
    ],
    measure=measure,
)
