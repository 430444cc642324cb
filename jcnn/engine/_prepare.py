"""A data set split into training, validation and test examples, as the engine takes it."""

from typing import Any

import numpy as np

from jcnn.data import Dataset, split_validation
from jcnn.data.on_disk import Batches, Joined, Rows, is_on_disk
from jcnn.training.run import Data

# The largest held-out batch: large enough for full speed, small enough for CPU caches.
EVALUATION_BATCH = 256


def prepare(dataset: Dataset, validation_fraction: float) -> Data:
    """Split validation examples off the training set and return the arrays for `advance`.

    The split depends on the data alone, so it is the same in every run. Validation examples that
    the data set has are used instead. With a fraction of 0, all of them are training
    examples. Mean and standard deviation are those of the training set. Images stay uint8. Inputs
    that are in a file stay there: they are then `jcnn.data.on_disk.Rows` and `Batches`.

    >>> from jcnn import data
    >>> arrays = prepare(data.load("digits"), validation_fraction=0.2)
    >>> len(arrays.inputs), int(arrays.validation_batches)
    (1150, 2)
    """
    train, validation = _split(dataset, validation_fraction)
    size = evaluation_batch(len(validation[0]), len(dataset.test_inputs))
    held = [validation, (dataset.test_inputs, dataset.test_targets)]
    inputs = Batches([inputs for inputs, _ in held], size)
    weights = Batches([np.ones(len(inputs), np.float32) for inputs, _ in held], size)
    return Data(
        *train,
        inputs if is_on_disk(dataset.test_inputs) else inputs[:],
        Batches([targets for _, targets in held], size)[:],
        weights[:],
        np.int32(-(-len(validation[0]) // size)),
        np.asarray(dataset.mean),
        np.asarray(dataset.std),
    )


def evaluation_batch(*counts: int) -> int:
    """Return the batch size with the least padding over all `counts`.

    Sizes from half of `EVALUATION_BATCH` to all of it are considered, the largest first.
    """
    sizes = range(EVALUATION_BATCH, EVALUATION_BATCH // 2 - 1, -1)
    return min(sizes, key=lambda size: sum(-count % size for count in counts))


_Examples = tuple[Any, np.ndarray]


def _split(dataset: Dataset, fraction: float) -> tuple[_Examples, _Examples]:
    """The training and the validation examples."""
    x, y = dataset.train_inputs, dataset.train_targets
    none = x[:0], y[:0]
    if dataset.validation_inputs is not None and dataset.validation_targets is not None:
        given = dataset.validation_inputs, dataset.validation_targets
        if fraction:
            return (x, y), given
        return (_joined(x, given[0]), np.concatenate([y, given[1]])), none
    if not fraction:
        return (x, y), none
    train, held_out = split_validation(y, fraction, stratify=dataset.task == "classification")
    if is_on_disk(x):
        return (Rows(x, train), y[train]), (Rows(x, held_out), y[held_out])
    return (x[train], y[train]), (x[held_out], y[held_out])


def _joined(first: np.ndarray, second: np.ndarray) -> Any:
    return Joined([first, second]) if is_on_disk(first) else np.concatenate([first, second])
