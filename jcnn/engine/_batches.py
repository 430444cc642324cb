"""The batches of an epoch, as indices of training examples."""

import numpy as np

from jcnn.names import UsageError


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of full batches per epoch.

    Examples that do not fill a batch are left out, different ones in each epoch. Raises UsageError
    if `batch_size` exceeds `examples`.

    >>> steps_per_epoch(1000, 64)
    15
    """
    if batch_size > examples:
        raise UsageError(
            f"batch_size={batch_size} is larger than the {examples} training examples; "
            "use a smaller batch"
        )
    return examples // batch_size


def epoch_batches(seed: int, epoch: int, examples: int, batch_size: int) -> np.ndarray:
    """Return an epoch's batches as int32 indices of shape `(steps, batch_size)`.

    The order depends on `seed` and `epoch` alone, so it is the same in every combination.

    >>> epoch_batches(seed=0, epoch=0, examples=5, batch_size=2).shape
    (2, 2)
    """
    steps = steps_per_epoch(examples, batch_size)
    order = np.random.default_rng([seed, epoch]).permutation(examples)[: steps * batch_size]
    return order.astype(np.int32).reshape(steps, batch_size)
