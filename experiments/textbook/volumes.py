"""Does 3-D convolution beat slice-wise 2-D convolution on volumes?"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.paired import percent, points, ratio
from harness.subsets import downsample
from jcnn import data
from jcnn.study import Study
from textbook.shared.criteria import POINTS, at_least
from textbook.shared.lenet_3d import lenet_3d, shuffle_frames

FILE = Path("adrenalmnist3d", "adrenalmnist3d_64.npz")
AHEAD = "accuracy, 3-D minus 2-D, points"
LOSS = "test loss, 2-D over 3-D"
NULL = "slices shuffled, "


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure accuracies and losses with kernels over 3 slices or 1, in order or shuffled."""
    volumes = adrenal()
    shuffled = replace(
        volumes,
        name=f"{volumes.name}-shuffled",
        train_inputs=shuffle_frames(volumes.train_inputs),
        test_inputs=shuffle_frames(volumes.test_inputs),
    )
    for where, dataset in (("", volumes), (NULL, shuffled)):
        study = Study(
            data=dataset,
            model=lenet_3d,
            factors={"frames": [1, 3]},
            learning_rates=configuration["learning_rates"],
            seeds=configuration["seeds"],
            epochs=configuration["epochs"],
        )
        result = study_cache.run(measurements, study, "shuffled" if where else "slices")
        solid, flat = (find_row(result, frames=frames) for frames in ("3", "1"))
        measurements.add(f"{where}accuracy: {AHEAD}", *points(solid, flat))
        for name, row in (("3-D", solid), ("2-D", flat)):
            measurements.add(f"{where}{name}: test accuracy, %", *percent(row))
        by_loss = result.by("loss")
        solid, flat = (find_row(by_loss, frames=frames) for frames in ("3", "1"))
        measurements.add(f"{where}loss: {LOSS}", *ratio(flat, solid))


def adrenal() -> data.Dataset:
    """Load AdrenalMNIST3D from `$JCNN_DATA`, averaged over blocks to 16 voxels per side.

    Raises DataError if it is missing.
    """
    folder = os.environ.get("JCNN_DATA")
    if not folder:
        raise data.DataError(
            f"AdrenalMNIST3D (medmnist.com, 64 x 64 x 64) is required: save it as DIR/{FILE} and "
            "set JCNN_DATA=DIR"
        )
    dataset = data.load(Path(folder) / FILE)
    return replace(
        dataset,
        name="adrenalmnist3d-16",
        train_inputs=downsample(dataset.train_inputs, 4),
        test_inputs=downsample(dataset.test_inputs, 4),
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
