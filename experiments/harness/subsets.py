"""Subsets of data sets at reduced resolution, small enough for an experiment on a CPU."""

from dataclasses import replace

import numpy as np

from jcnn import data


def subset(name: str, *, train: int, test: int | None = None, shrink: int = 1) -> data.Dataset:
    """Return a fixed random subset of a data set, each side `shrink` times shorter.

    Each pixel is the mean of a block; pixels that do not fill a block are cropped.
    """
    dataset = data.load(name)
    rng = np.random.default_rng(0)
    train_indices = rng.permutation(len(dataset.train_inputs))[:train]
    test_indices = rng.permutation(len(dataset.test_inputs))[: test or len(dataset.test_inputs)]
    return replace(
        dataset,
        name=f"{dataset.name}-{train}-{shrink}",
        train_inputs=downsample(dataset.train_inputs[train_indices], shrink),
        train_targets=dataset.train_targets[train_indices],
        test_inputs=downsample(dataset.test_inputs[test_indices], shrink),
        test_targets=dataset.test_targets[test_indices],
    )


def downsample(inputs: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` pixels per side; `inputs` is `(n, *spatial, channels)`.

    Means of uint8 inputs are rounded.

    >>> downsample(np.array([[[0], [10], [4], [5]]], np.uint8), 2)[0, :, 0].tolist()
    [5, 4]
    """
    n, *spatial, channels = inputs.shape
    sides = [length // factor for length in spatial]
    cropped = inputs[(slice(None), *(slice(side * factor) for side in sides))]
    block_shape = [part for side in sides for part in (side, factor)]
    blocks = cropped.reshape(n, *block_shape, channels)
    means = blocks.mean(axis=tuple(range(2, 2 + 2 * len(sides), 2)))
    return np.round(means).astype(inputs.dtype) if inputs.dtype == np.uint8 else means
