"""The data of a study as the engine takes it: training, validation and test examples."""

import numpy as np

from jcnn.data import Dataset, split_validation
from jcnn.training.run import Data

# Held-out batches are at most this long: enough for full speed, and small enough for caches.
EVALUATION_BATCH = 256


def prepare(dataset: Dataset, validation_fraction: float) -> Data:
    """Split validation from training, and put everything where `training.advance` expects it.

    The split depends on the data alone, so it is the same in every run. Mean and deviation are
    those of the training images; images stay uint8.

    >>> from jcnn import data
    >>> found = prepare(data.load("digits"), validation_fraction=0.2)
    >>> len(found.inputs), int(found.validation_batches)
    (1150, 2)
    """
    stratify = dataset.task == "classification"
    train, validation = split_validation(
        dataset.train_targets, validation_fraction, stratify=stratify
    )
    size = evaluation_batch(len(validation), len(dataset.test_inputs))
    parts = [
        _batched(dataset.train_inputs[validation], dataset.train_targets[validation], size),
        _batched(dataset.test_inputs, dataset.test_targets, size),
    ]
    held = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    return Data(
        dataset.train_inputs[train],
        dataset.train_targets[train],
        held[0],
        held[1],
        held[2],
        np.int32(len(parts[0][0])),
        np.asarray(dataset.mean),
        np.asarray(dataset.std),
    )


def evaluation_batch(*counts: int) -> int:
    """The batch size, from half the longest to the longest, that pads all `counts` least."""
    sizes = range(EVALUATION_BATCH, EVALUATION_BATCH // 2 - 1, -1)
    return min(sizes, key=lambda size: sum(-count % size for count in counts))


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
