"""A few examples that stand for all: a random sample with equally many of each class."""

import numpy as np


def sample_indices(targets: np.ndarray, count: int, *, seed: int = 0) -> np.ndarray:
    """Return the indices of `count` random examples, or of all examples if there are fewer.

    Targets `(n,)` of integers are class labels. Then each class gets equally many examples, within
    one, as long as it has enough, and so it does in every beginning of the sample. Other targets
    are sampled uniformly. No example is drawn twice, and the same arguments give the same sample.

    >>> import numpy as np
    >>> labels = np.repeat([0, 1, 2], [1000, 10, 10])
    >>> np.bincount(labels[sample_indices(labels, 12)])
    array([4, 4, 4])
    """
    order = np.random.default_rng(seed).permutation(len(targets))
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        # Stable sorts keep what is random: members of a class, and classes within a round.
        grouped = order[np.argsort(targets[order], kind="stable")]
        labels = targets[grouped]
        starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        rounds = np.empty(len(order), np.int64)
        rounds[grouped] = np.arange(len(order)) - np.repeat(
            starts, np.diff(np.r_[starts, len(order)])
        )
        order = order[np.argsort(rounds[order], kind="stable")]
    return order[:count]
