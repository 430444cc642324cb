"""Shapeset: labels are verified from the pixels, by moments that affine maps preserve."""

import hashlib

import numpy as np
import pytest

from jcnn.data import DataError, shapeset
from jcnn.data.shapeset import CLASSES, KINDS, paint
from jcnn.data.shapeset import scenes as draw_scenes

ALONE = 3
# Area over the root of the covariance's determinant, which no affine map changes: exactly 6 sqrt 3
# for triangles, 12 for parallelograms, 4 pi for ellipses. Pixels blur all three a little downwards.
BETWEEN = (11.0, 12.15)


def measured(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area and, by an affine invariant, the kind of each object `(n, 32, 32)`."""
    weights = weights.astype(np.float64)
    rows, columns = np.mgrid[0:32, 0:32]
    area = weights.sum(axis=(1, 2))
    y, x = ((weights * grid).sum(axis=(1, 2)) / area for grid in (rows, columns))
    dy, dx = rows - y[:, None, None], columns - x[:, None, None]
    yy, xx, yx = (
        (weights * product).sum(axis=(1, 2)) / area for product in (dy * dy, dx * dx, dy * dx)
    )
    return area, np.digitize(area / np.sqrt(yy * xx - yx**2), BETWEEN)


@pytest.fixture(scope="module")
def scenes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.arange(2700, dtype=np.int32) % 9
    return labels, *draw_scenes(np.random.default_rng(3), labels)


def test_a_single_object_is_of_its_label() -> None:
    data = shapeset(train=1800, test=9)
    images = data.train_inputs[..., 0].astype(int)
    alone = data.train_targets < ALONE
    contrast = np.abs(images - images[:, :1, :1])[alone]
    most = contrast.max(axis=(1, 2))
    assert most.min() >= 47  # 48 with every pixel whole; the deepest may be an edge's
    area, kind = measured(contrast / most[:, None, None])
    np.testing.assert_array_equal(kind, data.train_targets[alone])
    assert area.min() > 60
    assert area.max() < 175


def test_both_objects_of_a_scene_are_of_its_label(scenes: tuple) -> None:
    labels, kinds, cover = scenes
    for layer in (0, 1):
        shown = kinds[:, layer] >= 0
        area, kind = measured(cover[shown, layer])
        np.testing.assert_array_equal(kind, kinds[shown, layer])
        assert area.min() > 60
        assert area.max() < 175
        assert (cover[~shown, layer] == 0).all()
    names = [" and ".join(KINDS[kind] for kind in sorted(pair) if kind >= 0) for pair in kinds]
    assert names == [CLASSES[label] for label in labels]


def test_either_of_two_kinds_may_be_in_front(scenes: tuple) -> None:
    labels, kinds, _ = scenes
    for label in (4, 5, 7):
        in_front = kinds[labels == label, 1]
        assert 0.4 < (in_front == in_front.max()).mean() < 0.6


def test_objects_share_at_most_half_of_the_smaller_and_some_share_much(scenes: tuple) -> None:
    labels, _, cover = scenes
    inside = cover[labels >= ALONE] >= 0.5
    shared = (inside[:, 0] & inside[:, 1]).sum(axis=(1, 2))
    share = shared / inside.sum(axis=(2, 3)).min(axis=1)
    assert share.max() <= 0.5
    assert share.max() > 0.45
    assert (share == 0).any()


def test_objects_lie_inside_and_reach_every_side(scenes: tuple) -> None:
    cover = scenes[2]
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert cover[..., border].max() < 0.2  # a sharp corner bleeds a little
    for side in (cover[..., 1, :], cover[..., -2, :], cover[..., 1], cover[..., -2]):
        assert side.max() > 0.3


def test_grey_levels_are_far_apart_and_the_front_hides_the_back() -> None:
    cover = np.zeros((3000, 2, 32, 32), np.float32)
    cover[:, 0, :20], cover[:, 1, 10:] = 1, 1
    cover[:, 1, 25] = 0.5
    cover[:, :, 31] = 0
    images = paint(np.random.default_rng(0), cover)
    back, front, ground = (images[:, row].astype(int) for row in (0, 15, 31))
    np.testing.assert_array_equal(images[:, 24], front)
    np.testing.assert_allclose(images[:, 25], (front + ground) / 2, atol=0.5)
    for one, other in ((back, front), (front, ground), (back, ground)):
        assert np.abs(one - other).min() == 48
    for level in (back, front, ground):
        assert (level.min(), level.max()) == (0, 255)
        assert abs(level.mean() - 127.5) < 8


def test_classes_are_balanced_and_images_have_the_right_shape() -> None:
    data = shapeset(train=130, test=31, seed=2)
    assert (data.train_inputs.shape, data.train_inputs.dtype) == ((130, 32, 32, 1), np.uint8)
    assert data.test_inputs.shape == (31, 32, 32, 1)
    assert len(data.classes) == len(set(data.classes)) == 9
    for targets, examples in ((data.train_targets, 130), (data.test_targets, 31)):
        counts = np.bincount(targets, minlength=9)
        assert (counts.sum(), counts.max() - counts.min()) == (examples, 1)
        assert (np.diff(targets) < 0).any()


def test_images_depend_on_the_seed_alone() -> None:
    data = shapeset(train=90, test=18, seed=1)
    assert data.digest() == shapeset(train=90, test=18, seed=1).digest()
    other = shapeset(train=90, test=18, seed=2)
    assert not (data.train_inputs == other.train_inputs).all(axis=(1, 2, 3)).any()
    longer = shapeset(train=99, test=18, seed=1)
    np.testing.assert_array_equal(longer.test_inputs, data.test_inputs)
    every = np.concatenate([data.train_inputs, data.test_inputs, other.train_inputs])
    assert len({image.tobytes() for image in every}) == len(every)


def test_images_do_not_change_from_one_version_to_the_next() -> None:
    data = shapeset(train=2000, test=9)
    assert hashlib.sha256(data.train_inputs.tobytes()).hexdigest().startswith("de92576b6011")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 8}, "8 training and 10000 test examples, expected at least 9 and 1"),
        ({"test": 0}, "expected at least 9 and 1"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        shapeset(**options)
