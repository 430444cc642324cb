"""The data that is explored, split and normalized, and the choice that the page starts with."""

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
from jcnn.explore.choice import RANGES, Choice, options, parse_choice
from jcnn.study import Result
from jcnn.study.storage.load import read_result

# The number of pixels in the batch whose signals are shown, and the range of its size.
_PIXELS = 8192
_EXAMPLES = (16, 128)
VALIDATION = 0.2


@dataclass(frozen=True, eq=False)
class Subject:
    """Labelled images, and the batch whose signals are shown: a sample of each class.

    `named` is the data's name on the command line. `directory` is the directory of a study, if one
    is explored; `start` is then its best combination.
    """

    dataset: datasets.Dataset
    named: str
    start: Choice = field(default_factory=Choice)
    directory: Path | None = None

    def __post_init__(self) -> None:
        """Check that these are images with classes, and send them to the device."""
        if self.dataset.classes is None or len(self.dataset.input_shape) < 2:
            raise UsageError(
                f"{self.dataset.name} does not consist of images with classes; use `jcnn compare` "
                "or `jcnn diagnose` for it"
            )
        split = engine.prepare(self.dataset, VALIDATION)
        count = int(np.clip(_PIXELS // np.prod(self.input_shape[:-1]), *_EXAMPLES))
        chosen = datasets.sample_indices(split.targets, count)
        on_device = jax.device_put(split)
        shown = training.normalize(jnp.asarray(split.inputs[chosen]), split)
        object.__setattr__(self, "data", on_device)
        object.__setattr__(self, "x", shown)
        object.__setattr__(self, "labels", jnp.asarray(split.targets[chosen]))
        object.__setattr__(self, "images", split.inputs[chosen])

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


def load_subject(data: str | None, directory: str | Path | None) -> Subject:
    """Load a data set, or that of a study's directory, whose best combination is the start."""
    if directory is None:
        return Subject(datasets.load(data or "digits"), data or "digits")
    result = read_result(Path(directory))
    named = data or str(result.study["data"])
    return Subject(datasets.load(named), named, _best(result), Path(directory))


def _best(result: Result) -> Choice:
    """Return a study's best combination, as far as the page has controls for its parts."""
    row = next(iter(result.ranking()), None)
    if row is None:
        return Choice()
    low, high = RANGES["learning_rate"]
    values: dict[str, Any] = {"learning_rate": min(max(row.learning_rate, low), high)}
    for key, value in row.levels.items():
        try:
            number = value if key in options() else float(value)
            values |= {key: getattr(parse_choice({key: number}), key)}
        except ValueError:
            continue  # the page has no control for this level
    return Choice(**values)
