"""Random examples, for a first look at a network without data."""

from collections.abc import Sequence

import numpy as np

from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError


def noise(
    input_shape: Sequence[int], *, classes: int = 10, examples: int = 512, seed: int = 0
) -> Dataset:
    """Return standard normal inputs of this shape with random labels, as many for testing.

    Nothing can be learned from them, but signals and gradients of an untrained network are about
    those of normalized images.

    Raises DataError for a shape or a number that makes no sense.

    >>> data = noise((32, 32, 3), classes=5, examples=20)
    >>> data.train_inputs.shape, data.num_classes
    ((20, 32, 32, 3), 5)
    """
    shape = tuple(input_shape)
    if not shape or min(shape) < 1:
        raise DataError(f"noise: input shape {shape}; expected positive sizes, such as 224 224 3")
    if classes < 2 or examples < 2 * classes:
        raise DataError(
            f"noise: {classes} classes and {examples} examples; expected at least 2 classes, and 2 "
            "examples of each"
        )
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(examples, dtype=np.int32) % classes)
    inputs, test_inputs = (rng.standard_normal((examples, *shape), np.float32) for _ in range(2))
    names = tuple(map(str, range(classes)))
    return Dataset("noise", inputs, labels, test_inputs, labels, names, "random numbers")
