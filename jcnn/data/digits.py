"""Data sets made from scikit-learn's 1,797 real 8x8 digits: nothing is downloaded."""

import numpy as np

from jcnn.data.dataset import Dataset
from jcnn.data.split import split_validation

ANGLE_UNIT = 45.0
"""Degrees (counter-clockwise) that a target of 1.0 stands for in `digits-rotated`."""

DIRECTIONS = ("right", "left", "up", "down")
"""The classes of `moving-digits`."""

INSIDE, MADE = "inside scikit-learn", "made from scikit-learn's digits"
"""Where these data sets are found, in words."""

_STEPS = np.array([(0, 1), (0, -1), (-1, 0), (1, 0)])
_TEST_FRACTION = 0.2
_FRAMES = 8
_SIDE = 16


def digits() -> Dataset:
    """scikit-learn's digits: 8x8 grey images in ten classes, a fixed stratified 20% as test set.

    The 17 grey levels 0 to 16 are spread over 0 to 255 (uint8, rounded). Source: the test part of
    "Optical Recognition of Handwritten Digits", UCI repository, Alpaydin and Kaynak 1998.
    """
    images, labels = _images_and_labels()
    train, test = split_validation(labels, _TEST_FRACTION, stratify=True)
    return Dataset(
        "digits",
        images[train],
        labels[train],
        images[test],
        labels[test],
        classes=tuple("0123456789"),
        source=INSIDE,
    )


def digits_rotated() -> Dataset:
    """Regression: each digit turned by a random angle; the target is that angle.

    Angles are uniform in -45 to 45 degrees, drawn once from a fixed seed; targets are float32
    `(n,)` in units of 45 degrees (`ANGLE_UNIT`), so within -1 to 1, positive counter-clockwise.
    Pixels are interpolated bilinearly, corners that turn in are 0. Same split as `digits`.
    """
    upright = digits()
    rng = np.random.default_rng(0)
    return Dataset(
        "digits-rotated",
        *_turned(rng, upright.train_inputs),
        *_turned(rng, upright.test_inputs),
        classes=None,
        source=MADE,
    )


def moving_digits() -> Dataset:
    """Video: a digit crosses a dark field; the class is the direction (`DIRECTIONS`) it moves in.

    Clips are uint8 `(n, frames=8, 16, 16, 1)`, 1,000 to train and 300 to test, of training and test
    digits respectively, from a fixed seed. The digit moves one pixel per frame from a random place
    and comes back in at the opposite border, so that no single frame tells the direction.
    """
    still = digits()
    rng = np.random.default_rng(0)
    return Dataset(
        "moving-digits",
        *_clips(rng, still.train_inputs[..., 0], 1000),
        *_clips(rng, still.test_inputs[..., 0], 300),
        classes=DIRECTIONS,
        source=MADE,
    )


def _images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255.0 / 16.0)).astype(np.uint8)
    return images[..., None], bunch.target.astype(np.int32)


def _turned(rng: np.random.Generator, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    targets = rng.uniform(-1.0, 1.0, len(images)).astype(np.float32)
    turned = np.empty_like(images)
    for index, target in enumerate(targets):
        upright = Image.fromarray(images[index, ..., 0])
        angle = float(target) * ANGLE_UNIT
        turned[index, ..., 0] = np.asarray(upright.rotate(angle, Image.Resampling.BILINEAR))
    return turned, targets


def _clips(
    rng: np.random.Generator, images: np.ndarray, clips: int
) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.arange(clips, dtype=np.int32) % len(DIRECTIONS))
    shown = images[rng.integers(len(images), size=clips)]
    start = rng.integers(_SIDE, size=(clips, 2))
    corner = start[:, None] + np.arange(_FRAMES)[None, :, None] * _STEPS[labels][:, None]
    rows, columns = (
        (corner[..., axis, None] + np.arange(images.shape[1 + axis])) % _SIDE for axis in (0, 1)
    )
    field = np.zeros((clips, _FRAMES, _SIDE, _SIDE, 1), np.uint8)
    clip, frame = np.ix_(np.arange(clips), np.arange(_FRAMES))
    places = clip[..., None, None], frame[..., None, None], rows[..., None], columns[..., None, :]
    field[(*places, 0)] = shown[:, None]
    return field, labels
