"""What is explored: images, split and normalized, and where a visitor begins."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jcnn import data as datasets
from jcnn import engine, training
from jcnn.errors import UsageError
from jcnn.explore.choice import RANGES, Choice, choice_of, options
from jcnn.study import Result
from jcnn.study.storage.load import read_result

# So many pixels, over all examples of the batch, are sent through every layer.
_PIXELS = 8192
_EXAMPLES = (16, 128)
VALIDATION = 0.2


@dataclass(frozen=True, eq=False)
class Subject:
    """Images, their labels, and the batch whose signals are shown.

    `named` is what a command line calls the data. `directory` is a study's, whose best combination
    `start` is.
    """

    dataset: datasets.Dataset
    named: str
    start: Choice = field(default_factory=Choice)
    directory: Path | None = None

    def __post_init__(self) -> None:
        """Check that these are images of classes, and put them on the device."""
        if self.dataset.classes is None or len(self.dataset.input_shape) < 2:
            raise UsageError(
                f"{self.dataset.name} is not images with classes, which is what is explored; "
                "`jcnn compare` and `jcnn diagnose` take it"
            )
        split = engine.prepare(self.dataset, VALIDATION)
        count = int(np.clip(_PIXELS // np.prod(self.input_shape[:-1]), *_EXAMPLES))
        count = min(count, len(split.inputs))
        on_device = jax.device_put(split)
        shown = training.normalize(jnp.asarray(split.inputs[:count]), split)
        object.__setattr__(self, "data", on_device)
        object.__setattr__(self, "x", shown)
        object.__setattr__(self, "labels", jnp.asarray(split.targets[:count]))
        object.__setattr__(self, "images", split.inputs[:count])

    data: training.Data = field(init=False)
    x: Array = field(init=False)
    labels: Array = field(init=False)
    images: np.ndarray = field(init=False)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an image, channels last."""
        return self.dataset.input_shape

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.dataset.classes or ()


def subject_of(data: str | None, directory: str | Path | None) -> Subject:
    """What a command names: a data set, or a study's directory, whose data and winner are taken."""
    if directory is None:
        return Subject(datasets.load(data or "digits"), data or "digits")
    result = read_result(Path(directory))
    named = data or str(result.study["data"])
    return Subject(datasets.load(named), named, _best(result), Path(directory))


def _best(result: Result) -> Choice:
    """A study's best combination, as far as its parts are controls here."""
    row = next(iter(result.ranking()), None)
    if row is None:
        return Choice()
    low, high = RANGES["learning_rate"]
    found: dict[str, Any] = {"learning_rate": min(max(row.learning_rate, low), high)}
    for key, value in row.levels.items():
        try:
            number = value if key in options() else float(value)
            found |= {key: getattr(choice_of({key: number}), key)}
        except ValueError:
            continue  # a level that this page has no control for
    return Choice(**found)
