"""Larger images of digits: placed on a canvas with or without clutter, or enlarged."""

from dataclasses import replace

import numpy as np

from jcnn import data

# The side of a piece of clutter in pixels, and the number of pieces per image.
PIECE, PIECES = 4, 6


def digits_on_canvas(side: int, *, centred: bool, clutter: bool = False) -> data.Dataset:
    """Place digits on a dark canvas of `side` pixels, centred or at fixed random positions.

    With `clutter`, pieces of other digits lie around and under the digit.
    """
    dataset = data.load("digits")
    rng = np.random.default_rng(0)
    labels = ["centred" if centred else "shifted", *(["clutter"] if clutter else [])]
    return replace(
        dataset,
        name=f"digits-{side}-{'-'.join(labels)}",
        train_inputs=_canvases(rng, dataset.train_inputs, side, centred, clutter),
        test_inputs=_canvases(rng, dataset.test_inputs, side, centred, clutter),
    )


def enlarged_digits(factor: int) -> data.Dataset:
    """Enlarge digits by repeating each pixel `factor` times along both sides."""
    dataset = data.load("digits")

    def enlarge(images: np.ndarray) -> np.ndarray:
        return images.repeat(factor, axis=1).repeat(factor, axis=2)

    return replace(
        dataset,
        name=f"digits-by-{factor}",
        train_inputs=enlarge(dataset.train_inputs),
        test_inputs=enlarge(dataset.test_inputs),
    )


def _canvases(
    rng: np.random.Generator, images: np.ndarray, side: int, centred: bool, clutter: bool
) -> np.ndarray:
    n, size = images.shape[:2]
    canvases = np.zeros((n, side, side, 1), images.dtype)
    for i, image in enumerate(images):
        for _ in range(PIECES if clutter else 0):
            other = images[rng.integers(n)]
            top, left = rng.integers(size - PIECE + 1, size=2)
            y, x = rng.integers(side - PIECE + 1, size=2)
            piece = other[top : top + PIECE, left : left + PIECE]
            canvases[i, y : y + PIECE, x : x + PIECE] = piece
        y, x = [(side - size) // 2] * 2 if centred else rng.integers(side - size + 1, size=2)
        canvases[i, y : y + size, x : x + size] = image
    return canvases
