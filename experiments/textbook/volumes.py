"""Does 3-D convolution beat slice-wise 2-D convolution on volumes?"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.claim import Claim
from harness.found import Found, row_of
from harness.images import shrunk
from jcnn import data
from jcnn.study import Study
from textbook import shared
from textbook.criteria import POINTS, at_least
from textbook.paired import percent, points, ratio
from textbook.through_time import shuffled, through_time

FILE = Path("adrenalmnist3d", "adrenalmnist3d_64.npz")
AHEAD = "accuracy, 3-D less 2-D, points"
LOSS = "test loss, 2-D over 3-D"
NULL = "slices shuffled, "


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Accuracies and losses of nets whose kernels span 3 slices or 1, in order or shuffled."""
    volumes = adrenal()
    mixed = replace(
        volumes,
        name=f"{volumes.name}-shuffled",
        train_inputs=shuffled(volumes.train_inputs),
        test_inputs=shuffled(volumes.test_inputs),
    )
    for where, own in (("", volumes), (NULL, mixed)):
        study = Study(
            data=own,
            model=through_time,
            factors={"frames": [1, 3]},
            learning_rates=configuration["learning_rates"],
            seeds=configuration["seeds"],
            epochs=configuration["epochs"],
        )
        result = shared.run(found, study, "shuffled" if where else "slices")
        solid, flat = (row_of(result, frames=frames) for frames in ("3", "1"))
        found.add(f"{where}accuracy: {AHEAD}", *points(solid, flat))
        for name, row in (("3-D", solid), ("2-D", flat)):
            found.add(f"{where}{name}: test accuracy, %", *percent(row))
        by_loss = result.by("loss")
        solid, flat = (row_of(by_loss, frames=frames) for frames in ("3", "1"))
        found.add(f"{where}loss: {LOSS}", *ratio(flat, solid))


def adrenal() -> data.Dataset:
    """AdrenalMNIST3D in `$JCNN_DATA`, each side 16 voxels: means over blocks of 4 x 4 x 4.

    DataError where it is not there.
    """
    folder = os.environ.get("JCNN_DATA")
    if not folder:
        raise data.DataError(
            f"AdrenalMNIST3D (medmnist.com, 64 x 64 x 64) is wanted: put it into DIR/{FILE} and "
            "set JCNN_DATA=DIR"
        )
    whole = data.load(Path(folder) / FILE)
    return replace(
        whole,
        name="adrenalmnist3d-16",
        train_inputs=shrunk(whole.train_inputs, 4),
        test_inputs=shrunk(whole.test_inputs, 4),
    )


CLAIM = Claim(
    name="volumes",
    source="usual in the literature on medical volumes; Yang et al. 2023, MedMNIST v2, compares so",
    statement="On volumes, 3-D convolution beats 2-D convolution of slices.",
    configuration={
        "learning_rates": (0.3, 0.1, 0.03, 0.01),
        "seeds": 5,
        "epochs": 10,
    },
    criteria=[
        at_least(f"accuracy: {AHEAD}", POINTS, f"{NULL}accuracy: {AHEAD}"),
        at_least(f"loss: {LOSS}", 1.05, f"{NULL}loss: {LOSS}"),
    ],
    measure=measure,
)
