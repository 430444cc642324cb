"""Does convolution over time detect motion?"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.paired import percent, points
from jcnn import data, models
from jcnn.study import Result, Study
from textbook.shared.criteria import at_least
from textbook.shared.lenet_3d import lenet_3d, shuffle_frames

SINGLE, CHANNELS = "against single frames", "against frames as channels"
AHEAD = "accuracy, 3-D minus 2-D, points"
NULL = "frames shuffled, "
# A network that sees the direction of motion gains most of the 75 points above chance.
LEAD = 5.0


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure accuracies with kernels over 3 frames or 1, and with all frames as channels."""
    original = data.load("moving-digits")
    shuffled = _transformed(original, "shuffled", shuffle_frames)
    results = {
        where: _train(configuration, measurements, clips, lenet_3d, where, frames=[1, 3])
        for where, clips in (("", original), (NULL, shuffled))
    }
    for where, result in results.items():
        rows = [find_row(result, frames=frames) for frames in ("3", "1")]
        measurements.add(f"{where}{SINGLE}: {AHEAD}", *points(*rows))
        for name, row in zip(("3-D", "2-D"), rows, strict=True):
            measurements.add(f"{where}{name}: test accuracy, %", *percent(row))
    frames_last = partial(np.moveaxis, source=1, destination=-2)
    for where, clips in (("", original), (NULL, shuffled)):
        images = _transformed(clips, "channels", lambda clips: frames_last(clips)[..., 0])
        result = _train(
            configuration, measurements, images, models.lenet, f"{where}channels",
            features=[(4, 8)], hidden=[()], kernel_init=["he_untruncated_normal"],
        )  # fmt: skip
        rows = find_row(results[where], frames="3"), result.ranking()[0]
        measurements.add(f"{where}{CHANNELS}: {AHEAD}", *points(*rows))
        measurements.add(f"{where}frames as channels: test accuracy, %", *percent(rows[1]))


def _transformed(clips: data.Dataset, name: str, change: Any) -> data.Dataset:
    return replace(
        clips,
        name=f"{clips.name}-{name}",
        train_inputs=change(clips.train_inputs),
        test_inputs=change(clips.test_inputs),
    )


def _train(
    configuration: Mapping[str, Any],
    measurements: Measurements,
    clips: data.Dataset,
    model: Any,
    name: str,
    **factors: Any,
) -> Result:
    study = Study(
        data=clips,
        model=model,
        factors=factors,
        learning_rates=configuration["learning_rates"],
        seeds=configuration["seeds"],
        epochs=configuration["epochs"],
    )
    return study_cache.run(measurements, study, name.strip(", ") or "frames")


CLAIM = Claim(
    name="video-motion",
    source="Ji et al. 2013; Tran et al. 2015; usual in textbooks",
    statement="Convolution over time detects motion, which convolution of single frames does not.",
    configuration={
        "learning_rates": (0.3, 0.1, 0.03, 0.01),
        "seeds": 5,
        "epochs": 12,
    },
    criteria=[
        at_least(f"{condition}: {AHEAD}", LEAD, f"{NULL}{condition}: {AHEAD}")
        for condition in (SINGLE, CHANNELS)
    ],
    measure=measure,
)
