"""Data sets made from scikit-learn's 1,797 real 8x8 digits; nothing is downloaded."""

import numpy as np

from jcnn.data.dataset import Dataset
from jcnn.data.split import split_validation

ANGLE_UNIT = 45.0
"""The angle of a target of 1.0 in `digits-rotated`, in degrees counter-clockwise."""

DIRECTIONS = ("right", "left", "up", "down")
"""The classes of `moving-digits`."""

INSIDE, MADE = "inside scikit-learn", "made from scikit-learn's digits"
"""The sources of these data sets."""

_STEPS = np.array([(0, 1), (0, -1), (-1, 0), (1, 0)])
_TEST_FRACTION = 0.2
_FRAMES = 8
_SIDE = 16


def digits() -> Dataset:
    """Return scikit-learn's digits: 8x8 grey images in ten classes, a stratified 20% as test set.

    The split is fixed. The 17 grey levels 0 to 16 are scaled to 0 to 255 (uint8, rounded). Source:
    the test part of "Optical Recognition of Handwritten Digits", UCI repository, Alpaydin and
    Kaynak 1998.
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
    """Return a regression data set: digits rotated by a random angle, which is the target.

    Angles are uniform in -45 to 45 degrees, from a fixed seed. Targets are float32 `(n,)` in units
    of 45 degrees (`ANGLE_UNIT`), so between -1 and 1, positive counter-clockwise. Pixels are
    interpolated bilinearly; corners rotated in are 0. The split is that of `digits`.
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
    """Return a video data set: the class is the direction (`DIRECTIONS`) in which a digit moves.

    Clips are uint8 `(n, frames=8, 16, 16, 1)`, from a fixed seed: 1,000 training clips of training
    digits and 300 test clips of test digits. The digit moves one pixel per frame over a dark field,
    starts at a random place and wraps around at the border, so no single frame shows the direction.
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
