"""Digits on larger fields: in the centre or anywhere, alone or among pieces of others."""

from dataclasses import replace

import numpy as np

from jcnn import data

# A piece of clutter is so many pixels a side, and there are so many of them.
PIECE, PIECES = 4, 6


def placed(side: int, *, centred: bool, clutter: bool = False) -> data.Dataset:
    """Digits on a dark field of `side` pixels, in its centre or drawn anywhere, once and for all.

    With `clutter`, pieces of other digits lie around and under it.
    """
    whole = data.load("digits")
    rng = np.random.default_rng(0)
    words = ["centred" if centred else "shifted", *(["clutter"] if clutter else [])]
    return replace(
        whole,
        name=f"digits-{side}-{'-'.join(words)}",
        train_inputs=_fields(rng, whole.train_inputs, side, centred, clutter),
        test_inputs=_fields(rng, whole.test_inputs, side, centred, clutter),
    )


def enlarged(factor: int) -> data.Dataset:
    """Digits, each pixel so many times as high and wide."""
    whole = data.load("digits")

    def enlarge(images: np.ndarray) -> np.ndarray:
        return images.repeat(factor, axis=1).repeat(factor, axis=2)

    return replace(
        whole,
        name=f"digits-by-{factor}",
        train_inputs=enlarge(whole.train_inputs),
        test_inputs=enlarge(whole.test_inputs),
    )


def _fields(
    rng: np.random.Generator, images: np.ndarray, side: int, centred: bool, clutter: bool
) -> np.ndarray:
    n, size = images.shape[:2]
    fields = np.zeros((n, side, side, 1), images.dtype)
    for i, image in enumerate(images):
        for _ in range(PIECES if clutter else 0):
            other = images[rng.integers(n)]
            top, left = rng.integers(size - PIECE + 1, size=2)
            y, x = rng.integers(side - PIECE + 1, size=2)
            piece = other[top : top + PIECE, left : left + PIECE]
            fields[i, y : y + PIECE, x : x + PIECE] = piece
        y, x = [(side - size) // 2] * 2 if centred else rng.integers(side - size + 1, size=2)
        fields[i, y : y + size, x : x + size] = image
    return fields
