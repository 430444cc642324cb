"""Saxe et al. 2013: from orthogonal weights, deep linear networks learn as fast as shallow ones."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import jcnn
from harness.claim import Claim, Criterion
from harness.measurements import Measurements
from harness.networks import ScannedMLP
from jcnn import initializers

INITS = {
    "orthogonal": initializers.orthogonal(),
    "gaussian": initializers.lecun_untruncated_normal(),
}


def linear(x: Any) -> Any:
    """The identity, as an activation."""
    return x


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Count the steps until a linear network explains half the variance of one-hot digits."""
    depths = configuration["depths"]
    study = jcnn.Study(
        data=_components(),
        model=ScannedMLP,
        factors={
            "depth": depths,
            "kernel_init": INITS,
            "width": [64],
            "activation": {"linear": linear},
            "optimizer": ["sgd"],
        },
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
        batch_size=128,
    )
    result = measurements.run(study, "linear")
    # Those notes are on the rate that is best on validation; here the steps choose it.
    measurements.notes = [note for note in measurements.notes if "at the edge" not in note]
    times = {
        (init, depth): _best_times(result, init, depth, configuration["target"], measurements)
        for init in INITS
        for depth in depths
    }
    for init in INITS:
        for depth in depths:
            measurements.add(f"steps, {init}, depth {depth}", *times[init, depth])
        ratio = times[init, depths[-1]] / times[init, depths[0]]
        measurements.add(f"{init}: steps at depth {depths[-1]} over depth {depths[0]}", *ratio)


def _components() -> jcnn.data.Dataset:
    """Return digits as their 64 principal components, whitened, with one-hot targets."""
    digits = jcnn.data.load("digits")
    train = digits.train_inputs.reshape(-1, 64) / 255.0
    mean = train.mean(axis=0)
    _, scales, axes = np.linalg.svd(train - mean, full_matrices=False)
    axes = axes * (scales > 1e-6 * scales[0])[:, None]  # constant pixels have no component
    eye = np.eye(10, dtype=np.float32)

    def whiten(images: np.ndarray) -> np.ndarray:
        return ((images.reshape(-1, 64) / 255.0 - mean) @ axes.T).astype(np.float32)

    return replace(
        digits,
        name="digits-components",
        train_inputs=whiten(digits.train_inputs),
        test_inputs=whiten(digits.test_inputs),
        train_targets=eye[digits.train_targets],
        test_targets=eye[digits.test_targets],
        classes=None,
    )


def _best_times(
    result: jcnn.Result, init: str, depth: int, target: float, measurements: Measurements
) -> np.ndarray:
    """Return the steps to the target at the fastest learning rate; a miss counts all its steps."""
    rows = [
        row
        for row in result.ranking()
        if row.levels["kernel_init"] == init and row.levels["depth"] == str(depth)
    ]
    by_rate: dict[float, list[float]] = {}
    for run in result.records:
        if run.combination != rows[0].combination:
            continue
        losses = np.array(run.outcome.curves["train_loss"])
        reached = np.flatnonzero(losses <= target)
        epochs = reached[0] + 1 if len(reached) else len(losses)
        steps = run.outcome.steps / len(losses) * epochs
        by_rate.setdefault(run.learning_rate, []).append(steps)
    best = min(by_rate, key=lambda rate: float(np.mean(by_rate[rate])))
    all_steps = result.records[0].outcome.steps
    never = min(by_rate[best]) >= all_steps
    if best in (min(by_rate), max(by_rate)) and not never:
        measurements.notes.append(
            f"{init}, depth {depth}: the best rate, {best:g}, is at the edge of those tried"
        )
    if never:
        measurements.notes.append(
            f"{init}, depth {depth}: never reaches the target at any rate in {all_steps} steps"
        )
    return np.array(by_rate[best])


CLAIM = Claim(
    name="saxe2013-depth",
    source="Saxe et al. 2013, section 3 and figure 6",
    statement="The learning time of a deep linear network grows with depth from Gaussian weights, "
    "but not from orthogonal ones.",
    configuration={
        "depths": [8, 32, 128],
        "learning_rates": [1.0, 0.3, 0.1, 0.03, 0.01],
        "seeds": 3,
        "epochs": 100,
        "target": 0.045,
    },
    criteria=[
        Criterion(
            "orthogonal: steps at depth 128 over depth 8",
            0.0,
            2.0,
            "gaussian: steps at depth 128 over depth 8",
        ),
        Criterion("gaussian: steps at depth 128 over depth 8", 4.0, math.inf),
    ],
    measure=measure,
)
