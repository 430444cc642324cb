"""Data sets cut to what an experiment can afford."""

from dataclasses import replace

import numpy as np

from jcnn import data


def images(name: str, *, train: int, test: int | None = None, shrink: int = 1) -> data.Dataset:
    """So many examples of a data set, drawn once and for all, their sides `shrink` times shorter.

    A pixel is the mean of a block; what does not fill one is cut off.
    """
    whole = data.load(name)
    rng = np.random.default_rng(0)
    few = rng.permutation(len(whole.train_inputs))[:train]
    tested = rng.permutation(len(whole.test_inputs))[: test or len(whole.test_inputs)]
    return replace(
        whole,
        name=f"{whole.name}-{train}-{shrink}",
        train_inputs=shrunk(whole.train_inputs[few], shrink),
        train_targets=whole.train_targets[few],
        test_inputs=shrunk(whole.test_inputs[tested], shrink),
        test_targets=whole.test_targets[tested],
    )


def shrunk(inputs: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of `factor` pixels a side, rounded; `inputs` is `(n, *spatial, channels)`.

    >>> shrunk(np.array([[[0], [10], [4], [5]]], np.uint8), 2)[0, :, 0].tolist()
    [5, 4]
    """
    n, *spatial, channels = inputs.shape
    sides = [length // factor for length in spatial]
    cut = inputs[(slice(None), *(slice(side * factor) for side in sides))]
    split = [part for side in sides for part in (side, factor)]
    blocks = cut.reshape(n, *split, channels)
    means = blocks.mean(axis=tuple(range(2, 2 + 2 * len(sides), 2)))
    return np.round(means).astype(inputs.dtype) if inputs.dtype == np.uint8 else means
