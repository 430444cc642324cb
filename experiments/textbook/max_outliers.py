"""Is max pooling sensitive to outlier pixels, and average pooling less so?"""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from harness.claim import Claim
from harness.found import Found, row_of
from jcnn import data, pooling
from jcnn.study import Study
from textbook import shared, trained
from textbook.criteria import POINTS, at_least

POOLS = {"max": pooling.max_pool, "average": pooling.avg_pool}
BRIGHT, DARK = 255, 0
SALT, PEPPER = (0.01, 0.02, 0.05, 0.1), 0.1
LOST = "accuracy lost, max less average, points"
RESPONSE = "change of the pooled value, max over average"
NO_OUTLIER = "one pixel as bright as its window's brightest"
GROUPS = 9


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """What one pixel does to a pooled value, and what many do to networks trained without."""
    images = data.load("digits").train_inputs
    for group in np.array_split(images, GROUPS):
        for name, value in (("bright", BRIGHT), ("dark", DARK)):
            found.add(f"one {name} outlier: {RESPONSE}", _response(group, lambda w, v=value: v))
        found.add(f"{NO_OUTLIER}: {RESPONSE}", _response(group, lambda w: w.max(axis=(2, 4))))
    if configuration["train"]:
        _train(configuration, found)


def _response(images: np.ndarray, outlier: Callable[[np.ndarray], Any]) -> float:
    """The mean change by one pixel of each 2x2 window, of the maximum over that of the mean."""
    images = images.astype(np.float32)
    n, height, width, _ = images.shape
    changed = images.reshape(n, height // 2, 2, width // 2, 2).copy()
    changed[:, :, 0, :, 0] = outlier(changed)
    before, after = jnp.asarray(images), jnp.asarray(changed.reshape(images.shape))
    moved = {
        name: float(jnp.abs(pool(after, (2, 2)) - pool(before, (2, 2))).mean())
        for name, pool in POOLS.items()
    }
    return moved["max"] / moved["average"]


def _train(configuration: Mapping[str, Any], found: Found) -> None:
    study = Study(
        factors={"pooling": POOLS, "kernel_init": ["he_untruncated_normal"]},
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    result = shared.run(found, study, "pooling")
    digits = data.load("digits")
    kinds = _noisy(digits.test_inputs.astype(np.float32), configuration["draws"])
    inputs = np.concatenate(list(kinds.values()))
    ends = np.cumsum([len(images) for images in kinds.values()])[:-1]
    lost: dict[str, dict[str, np.ndarray]] = {}
    for pool in POOLS:
        taken = trained.predictions(study, row_of(result, pooling=pool), inputs)
        parts = np.split(taken, ends, axis=1)
        right = {
            kind: 100 * np.mean(part == np.resize(digits.test_targets, part.shape[1]), axis=1)
            for kind, part in zip(kinds, parts, strict=True)
        }
        lost[pool] = {kind: right["none"] - values for kind, values in right.items()}
        for kind, values in lost[pool].items():
            found.add(f"{pool}, {kind}: accuracy lost, points", *values)
    for kind in kinds:
        if kind != "none":
            found.add(f"{kind}: {LOST}", *(lost["max"][kind] - lost["average"][kind]))


def _noisy(images: np.ndarray, draws: int) -> dict[str, np.ndarray]:
    """The images with each kind of noise, `draws` times over: outliers, and noise as strong.

    The latter is normal, of the same mean square over each image as its outliers' change.
    """
    rng = np.random.default_rng(0)
    many = np.concatenate([images] * draws)
    kinds = {"none": images}
    for share in SALT:
        salted = np.where(rng.random(many.shape) < share, np.float32(BRIGHT), many)
        strength = np.sqrt(np.square(salted - many).mean(axis=(1, 2, 3), keepdims=True))
        normal = rng.normal(size=many.shape).astype(np.float32)
        kinds[f"salt {share:.0%}"] = salted
        kinds[_as_strong(share)] = many + strength * normal
    kinds[f"pepper {PEPPER:.0%}"] = np.where(
        rng.random(many.shape) < PEPPER, np.float32(DARK), many
    )
    return kinds


def _as_strong(share: float) -> str:
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
            at_least(f"salt {share:.0%}: {LOST}", POINTS, f"{_as_strong(share)}: {LOST}")
            for share in SALT
        ),
        at_least(f"pepper {PEPPER:.0%}: {LOST}", POINTS),
        at_least(f"one bright outlier: {RESPONSE}", 1.5, f"{NO_OUTLIER}: {RESPONSE}"),
        at_least(f"one dark outlier: {RESPONSE}", 1.5),
    ],
    measure=measure,
)
