import hashlib
import subprocess
import sys

import numpy as np
import pytest

from jcnn.data import DataError, Dataset, from_arrays, split_validation

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.int32)
VALUES = RNG.normal(size=6).astype(np.float32)


def make(**changes: object) -> Dataset:
    fields: dict = {
        "name": "tiny",
        "train_inputs": IMAGES,
        "train_targets": LABELS,
        "test_inputs": IMAGES[:3],
        "test_targets": LABELS[:3],
        "classes": ("a", "b", "c"),
        "source": "here",
    }
    return Dataset(**(fields | changes))


def test_properties() -> None:
    data = make()
    assert (data.input_shape, data.num_classes, data.task) == ((4, 5, 3), 3, "classification")
    regression = make(train_targets=VALUES, test_targets=VALUES[:3], classes=None)
    assert (regression.num_classes, regression.task) == (None, "regression")


def test_arrays_are_read_only_but_not_the_callers() -> None:
    inputs = IMAGES.copy()
    data = make(train_inputs=inputs)
    with pytest.raises(ValueError, match="read-only"):
        data.train_inputs[0] = 0
    inputs[0] = 0


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(6, 7), (6, 9, 2), (6, 4, 5, 3), (6, 3, 4, 5, 1)])
@pytest.mark.parametrize("chunk", [5, 2**22])
def test_moments_equal_those_of_numpy(
    dtype: type, shape: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jcnn.data.dataset._CHUNK_ELEMENTS", chunk)
    inputs = RNG.uniform(0, 255, shape).astype(dtype)
    data = make(train_inputs=inputs, test_inputs=inputs[:3])
    axes = tuple(range(len(shape) - 1))
    assert data.mean.dtype == data.std.dtype == np.float32
    np.testing.assert_allclose(data.mean, inputs.astype(np.float64).mean(axes), rtol=1e-6)
    np.testing.assert_allclose(data.std, inputs.astype(np.float64).std(axes), rtol=1e-6)


def test_moments_keep_a_small_spread_around_a_large_mean() -> None:
    inputs = (1e4 + RNG.normal(size=(1000, 1))).astype(np.float32)
    data = from_arrays(inputs, np.arange(1000) % 2, test_inputs=inputs, test_targets=[0] * 1000)
    np.testing.assert_allclose(data.std, inputs.astype(np.float64).std(), rtol=1e-6)


def test_a_constant_channel_has_std_one() -> None:
    inputs = np.stack([np.zeros(6), np.full(6, 0.1), np.arange(6) * 1e-9], axis=1)
    inputs = inputs.astype(np.float32)
    std = make(train_inputs=inputs, test_inputs=inputs[:3]).std
    assert list(std[:2]) == [1.0, 1.0]
    assert 0 < std[2] < 1e-8


def test_digest_is_over_dtype_shape_and_bytes() -> None:
    data = make()
    expected = hashlib.sha256()
    for array in (IMAGES, LABELS, IMAGES[:3], LABELS[:3]):
        expected.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    assert data.digest() == expected.hexdigest()
    other = IMAGES.copy()
    other[0, 0, 0, 0] ^= 1
    variants = [make(train_inputs=other), make(test_targets=LABELS[3:][::-1])]
    assert len({data.digest(), *(variant.digest() for variant in variants)}) == 3
    assert make(train_inputs=np.asfortranarray(IMAGES)).digest() == data.digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_inputs": IMAGES.astype(np.float64)}, "train_inputs is float64, expected uint8"),
        ({"train_inputs": IMAGES[:, 0, 0, 0]}, r"train_inputs has shape \(6,\)"),
        ({"train_inputs": IMAGES[:, :0]}, "no empty axis"),
        ({"train_inputs": IMAGES[:1], "train_targets": LABELS[:1]}, "expected at least 2"),
        ({"test_inputs": IMAGES[:0], "test_targets": LABELS[:0]}, "expected at least 1"),
        ({"train_targets": LABELS[:4]}, "one target for each of 6 inputs"),
        ({"train_targets": LABELS.astype(np.int64)}, "train_targets is int64"),
        ({"test_targets": np.array([0, 3, 1], np.int32)}, "label 3 at index 1, expected 0 to 2"),
        ({"test_targets": np.array([0, -1, 1], np.int32)}, "label -1 at index 1"),
        ({"classes": ("a",)}, "at least two different names"),
        ({"classes": ("a", "b", "a")}, "at least two different names"),
        ({"classes": None}, "train_targets is int32 .* expected float32"),
        ({"test_inputs": IMAGES[:3, :3]}, "they must agree"),
        ({"test_inputs": IMAGES[:3].astype(np.float32)}, "they must agree"),
    ],
)
def test_an_error_names_the_field(changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(**changes)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_must_be_finite(bad: float) -> None:
    inputs = IMAGES.astype(np.float32)
    inputs[2, 1, 0, 2] = bad
    with pytest.raises(DataError, match=r"train_inputs is (nan|inf) at index \(2, 1, 0, 2\)"):
        make(train_inputs=inputs, test_inputs=IMAGES[:3].astype(np.float32))
    with pytest.raises(DataError, match="test_targets is"):
        make(train_targets=VALUES, test_targets=np.array([0, bad, 0], np.float32), classes=None)


def test_from_arrays_adds_a_channel_and_splits_by_class() -> None:
    images = RNG.uniform(size=(50, 8, 8))
    data = from_arrays(images, np.repeat([3, 7], 25), seed=1)
    assert data.train_inputs.shape == (40, 8, 8, 1)
    assert data.train_inputs.dtype == np.float32
    assert data.classes == ("3", "7")
    assert list(np.bincount(data.train_targets)) == [20, 20]
    assert list(np.bincount(data.test_targets)) == [5, 5]
    assert data.digest() == from_arrays(images, np.repeat([3, 7], 25), seed=1).digest()
    assert data.digest() != from_arrays(images, np.repeat([3, 7], 25), seed=2).digest()


def test_from_arrays_keeps_examples_with_their_targets() -> None:
    values = np.arange(20, dtype=np.float32)
    data = from_arrays(values[:, None], values)
    assert data.task == "regression"
    for part in ("train", "test"):
        inputs, targets = getattr(data, f"{part}_inputs"), getattr(data, f"{part}_targets")
        np.testing.assert_array_equal(inputs[:, 0], targets)
    assert sorted([*data.train_targets, *data.test_targets]) == list(values)


def test_from_arrays_takes_test_arrays_and_class_names() -> None:
    data = from_arrays(
        IMAGES, LABELS[:, None], test_inputs=IMAGES, test_targets=LABELS, classes=["x", "y", "z"]
    )
    assert data.classes == ("x", "y", "z")
    np.testing.assert_array_equal(data.train_targets, LABELS)
    named_by_value = from_arrays(
        IMAGES, LABELS * 2 - 1, test_inputs=IMAGES, test_targets=LABELS * 2 - 1
    )
    assert named_by_value.classes == ("-1", "1", "3")
    np.testing.assert_array_equal(named_by_value.train_targets, LABELS)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((IMAGES, LABELS), {"test_inputs": IMAGES}, "give both or neither"),
        ((IMAGES, LABELS[:3]), {}, "do not match"),
        ((IMAGES, np.eye(3, dtype=int)[LABELS]), {}, "argmax"),
        ((IMAGES, LABELS), {"classes": ["a", "b"]}, "label 2 is outside 0 to 1"),
        ((IMAGES, LABELS.astype(np.int64) + 2**32), {"classes": "abc"}, "is outside 0 to 2"),
        ((IMAGES, VALUES), {"classes": ["a", "b"]}, "use integer labels"),
        ((IMAGES, np.array(list("abcabc"), "S1")), {}, "targets has dtype .S1"),
        (([[1], [1, 2]], LABELS), {}, "inputs is not a regular array"),
        ((IMAGES, LABELS), {"test_inputs": IMAGES, "test_targets": VALUES}, "floats in the other"),
        ((IMAGES, np.arange(6)), {}, "leaves 6 for training and 0"),
        ((np.full((6, 2), 1e300), LABELS), {"test_fraction": 0.5}, "is inf"),
        ((IMAGES, LABELS), {"test_fraction": 1.0}, "expected between 0 and 1"),
    ],
)
def test_from_arrays_names_the_argument(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(*arguments, **options)


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_split_is_a_partition_and_deterministic(stratify: bool, fraction: float) -> None:
    targets = RNG.integers(0, 4, 103)
    train, validation = split_validation(targets, fraction, seed=3, stratify=stratify)
    np.testing.assert_array_equal(np.sort([*train, *validation]), np.arange(103))
    assert (np.diff(train) > 0).all()
    assert len(validation) == round(fraction * 103)
    again = split_validation(targets, fraction, seed=3, stratify=stratify)
    np.testing.assert_array_equal(validation, again[1])
    other = split_validation(targets, fraction, seed=4, stratify=stratify)
    assert not np.array_equal(validation, other[1])


def test_stratified_split_gives_every_class_its_share() -> None:
    targets = np.repeat([0, 1, 2, 3], [100, 50, 7, 1])
    train, validation = split_validation(targets, 0.3, stratify=True)
    shares = np.bincount(targets[validation], minlength=4)
    np.testing.assert_allclose(shares, [30, 15, 2.1, 0.3], atol=1)
    assert np.bincount(targets[train], minlength=4).min() >= 1


def test_stratified_split_keeps_the_last_example_of_a_class() -> None:
    train, validation = split_validation(np.array([0, 0, 1, 1]), 0.9, stratify=True)
    assert len(train) == len(validation) == 2


def test_split_errors() -> None:
    with pytest.raises(DataError, match="pass stratify=False"):
        split_validation(VALUES, 0.5, stratify=True)
    with pytest.raises(DataError, match="leaves 2 for training and 0"):
        split_validation(LABELS[:2], 0.1, stratify=False)
    with pytest.raises(DataError, match="leaves 0 for training and 0"):
        split_validation(LABELS[:0], 0.1, stratify=True)


def test_import_is_fast_and_augmentation_is_lazy() -> None:
    code = (
        "import sys, jcnn.data\n"
        "assert not {'sklearn', 'PIL'} & set(sys.modules)\n"
        "assert jcnn.data.augmentation.cutout\n"
        "try: jcnn.data.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit('no AttributeError')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
