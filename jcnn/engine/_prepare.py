"""A data set split into training, validation and test examples, as the engine takes it."""

import numpy as np

from jcnn.data import Dataset, split_validation
from jcnn.training.run import Data

# The largest held-out batch: large enough for full speed, small enough for CPU caches.
EVALUATION_BATCH = 256


def prepare(dataset: Dataset, validation_fraction: float) -> Data:
    """Split validation examples off the training set and return the arrays for `advance`.

    The split depends on the data alone, so it is the same in every run. Validation examples that
    the data set has are used instead. With a fraction of 0, all of them are training
    examples. Mean and standard deviation are those of the training set. Images stay uint8.

    >>> from jcnn import data
    >>> arrays = prepare(data.load("digits"), validation_fraction=0.2)
    >>> len(arrays.inputs), int(arrays.validation_batches)
    (1150, 2)
    """
    train, validation = _split(dataset, validation_fraction)
    size = evaluation_batch(len(validation[0]), len(dataset.test_inputs))
    parts = [
        _batched(*validation, size),
        _batched(dataset.test_inputs, dataset.test_targets, size),
    ]
    held = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Data(
        *train,
        held[0],
        held[1],
        held[2],
        np.int32(len(parts[0][0])),
        np.asarray(dataset.mean),
        np.asarray(dataset.std),
    )


def evaluation_batch(*counts: int) -> int:
    """Return the batch size with the least padding over all `counts`.

    Sizes from half of `EVALUATION_BATCH` to all of it are considered, the largest first.
    """
    sizes = range(EVALUATION_BATCH, EVALUATION_BATCH // 2 - 1, -1)
    return min(sizes, key=lambda size: sum(-count % size for count in counts))


_Examples = tuple[np.ndarray, np.ndarray]


def _split(dataset: Dataset, fraction: float) -> tuple[_Examples, _Examples]:
    """The training and the validation examples."""
    x, y = dataset.train_inputs, dataset.train_targets
    none = x[:0], y[:0]
    if dataset.validation_inputs is not None and dataset.validation_targets is not None:
        given = dataset.validation_inputs, dataset.validation_targets
        if fraction:
            return (x, y), given
        return (np.concatenate([x, given[0]]), np.concatenate([y, given[1]])), none
    if not fraction:
        return (x, y), none
    train, held_out = split_validation(y, fraction, stratify=dataset.task == "classification")
    return (x[train], y[train]), (x[held_out], y[held_out])


def _batched(
    inputs: np.ndarray, targets: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = -(-len(inputs) // size)
    extra = count * size - len(inputs)
    weights = np.pad(np.ones(len(inputs), np.float32), (0, extra))

    def reshape(array: np.ndarray) -> np.ndarray:
        full = np.pad(array, ((0, extra),) + ((0, 0),) * (array.ndim - 1))
        return full.reshape(count, size, *array.shape[1:])

    return reshape(inputs), reshape(targets), weights.reshape(count, size)
