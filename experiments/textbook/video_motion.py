"""Does convolution over time see motion?"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from harness.claim import Claim
from harness.found import Found, row_of
from jcnn import data, models
from jcnn.study import Result, Study
from textbook import shared
from textbook.criteria import at_least
from textbook.paired import percent, points
from textbook.through_time import shuffled, through_time

SINGLE, CHANNELS = "against single frames", "against frames as channels"
AHEAD = "accuracy, 3-D less 2-D, points"
NULL = "frames shuffled, "
# A network that takes the direction from the frames has most of the 75 points above chance.
MUCH = 5.0


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Accuracies of nets whose kernels span 3 frames, 1 frame, or all frames as channels."""
    whole = data.load("moving-digits")
    mixed = _changed(whole, "shuffled", shuffled)
    results = {
        where: _trained(configuration, found, clips, through_time, where, frames=[1, 3])
        for where, clips in (("", whole), (NULL, mixed))
    }
    for where, result in results.items():
        rows = [row_of(result, frames=frames) for frames in ("3", "1")]
        found.add(f"{where}{SINGLE}: {AHEAD}", *points(*rows))
        for name, row in zip(("3-D", "2-D"), rows, strict=True):
            found.add(f"{where}{name}: test accuracy, %", *percent(row))
    flat = partial(np.moveaxis, source=1, destination=-2)
    for where, clips in (("", whole), (NULL, mixed)):
        images = _changed(clips, "channels", lambda clips: flat(clips)[..., 0])
        net = _trained(
            configuration, found, images, models.lenet, f"{where}channels",
            features=[(4, 8)], hidden=[()], kernel_init=["he_untruncated_normal"],
        )  # fmt: skip
        rows = row_of(results[where], frames="3"), net.ranking()[0]
        found.add(f"{where}{CHANNELS}: {AHEAD}", *points(*rows))
        found.add(f"{where}frames as channels: test accuracy, %", *percent(rows[1]))


def _changed(clips: data.Dataset, name: str, change: Any) -> data.Dataset:
    return replace(
        clips,
        name=f"{clips.name}-{name}",
        train_inputs=change(clips.train_inputs),
        test_inputs=change(clips.test_inputs),
    )


def _trained(
    configuration: Mapping[str, Any],
    found: Found,
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
    return shared.run(found, study, name.strip(", ") or "frames")


CLAIM = Claim(
    name="video-motion",
    source="Ji et al. 2013; Tran et al. 2015; usual in textbooks",
    statement="Convolution over time sees motion, which convolution of single frames does not.",
    configuration={
        "learning_rates": (0.3, 0.1, 0.03, 0.01),
        "seeds": 5,
        "epochs": 12,
    },
    criteria=[
        at_least(f"{condition}: {AHEAD}", MUCH, f"{NULL}{condition}: {AHEAD}")
        for condition in (SINGLE, CHANNELS)
    ],
    measure=measure,
)
