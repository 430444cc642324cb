"""Deterministic splits of examples into two parts, optionally stratified by class."""

import numpy as np

from jcnn.data.errors import DataError


def split_validation(
    targets: np.ndarray, fraction: float, *, seed: int = 0, stratify: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted indices `(train, validation)` of a random split of all examples.

    About `fraction * n` examples go to validation. With `stratify`, `targets` are integer labels
    `(n,)` and each class contributes its share (largest remainders first), but never its last
    example, so every class stays in training. The same arguments give the same split.

    Raises DataError if the fraction is not between 0 and 1, or a part would be empty.

    >>> import numpy as np
    >>> from jcnn.data import split_validation
    >>> train, validation = split_validation(np.arange(8) % 2, 0.25, stratify=True)
    >>> len(train), len(validation)
    (6, 2)
    """
    if not 0.0 < fraction < 1.0:
        raise DataError(f"the fraction to split off is {fraction}, expected between 0 and 1")
    rng = np.random.default_rng(seed)
    if stratify:
        chosen = _stratified(targets, fraction, rng)
    else:
        chosen = rng.permutation(len(targets))[: round(fraction * len(targets))]
    held_out = np.zeros(len(targets), dtype=bool)
    held_out[chosen] = True
    train, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if not train.size or not validation.size:
        raise DataError(
            f"splitting off {fraction} of {len(targets)} examples leaves {len(train)} for training "
            f"and {len(validation)} for the other part; give more examples (of each class) or "
            "another fraction"
        )
    return train, validation


def _stratified(targets: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    if targets.ndim != 1 or targets.dtype.kind not in "iu":
        raise DataError(
            f"a stratified split needs integer labels of shape (n,), got {targets.dtype} of shape "
            f"{targets.shape}; pass stratify=False for regression"
        )
    labels, counts = np.unique(targets, return_counts=True)
    parts = [
        rng.permutation(np.flatnonzero(targets == label))[:quota]
        for label, quota in zip(labels, _quotas(counts, fraction), strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _quotas(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Return the number per class: shares rounded down, plus one for the largest remainders."""
    exact = counts * fraction
    quotas = np.floor(exact).astype(np.int64)
    missing = round(fraction * int(counts.sum())) - int(quotas.sum())
    for index in np.argsort(quotas - exact, kind="stable"):
        if missing > 0 and quotas[index] < counts[index] - 1:
            quotas[index] += 1
            missing -= 1
    return quotas
