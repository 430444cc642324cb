"""Arrays whose form is that of another library are refused with the line that mends them."""

from typing import Any

import numpy as np
import pytest

from jcnn.data import DataError, Dataset, from_arrays, load

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4
X = RNG.normal(size=(40, 6)).astype(np.float32)
ONE_HOT = np.eye(4)[LABELS]
SEVERAL = np.concatenate([ONE_HOT[:20], 1 - ONE_HOT[20:]])


def refusal(inputs: Any, targets: np.ndarray, **further: np.ndarray) -> str:
    with pytest.raises(DataError) as caught:
        from_arrays(inputs, targets, **further)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_one_hot_rows_are_refused(dtype: str) -> None:
    targets = ONE_HOT.astype(dtype)
    expected = "targets of shape (40, 4) are one-hot rows; pass the labels, targets.argmax(axis=1)"
    assert expected in refusal(X, targets)
    assert expected in refusal(X, targets, test_inputs=X, test_targets=targets)
    data = from_arrays(X, targets.argmax(axis=1))  # what the message says
    assert data.num_classes == 4


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
def test_several_labels_per_example_are_refused(dtype: str) -> None:
    targets = SEVERAL.astype(dtype)
    message = refusal(X, targets)
    assert "are rows of 0 and 1, several labels per example; make a jcnn.data.Dataset" in message
    assert from_arrays(X, targets[:, 0].astype(int)).classes == ("0", "1")


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_labels_of_two_classes_as_floats_are_refused(shape: tuple[int, ...]) -> None:
    targets = (LABELS % 2).astype(np.float32).reshape(shape)
    message = refusal(X, targets)
    assert "are all 0.0 or 1.0; for two classes, pass targets.astype(int)" in message
    assert from_arrays(X, targets.astype(int)).num_classes == 2
    column = targets.reshape(40, 1)
    data = Dataset("values", X, column, X, column, classes=None, source="here")
    assert data.task == "regression"  # what the message says


@pytest.mark.parametrize(
    "targets",
    [
        RNG.random(40),
        LABELS.astype(float),
        np.zeros(40),
        np.ones((40, 2)),
        ONE_HOT * 0.9 + 0.025,
        np.where(ONE_HOT == 1, 1, -1).astype(float),
    ],
)
def test_other_floats_are_a_regression(targets: np.ndarray) -> None:
    assert from_arrays(X, targets).task == "regression"


def test_integer_rows_that_are_no_labels() -> None:
    assert "(n,) or (n, 1); for a regression, pass floats" in refusal(X, ONE_HOT.astype(int) * 3)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (4, 5, 9), (3, 8, 16, 16), (2, 9, 9)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channels_first_are_refused(shape: tuple[int, ...], dtype: str, tmp_path) -> None:
    x = np.zeros((40, *shape), dtype)
    expected = f"inputs of shape {x.shape} have {shape[0]} channels first; expected channels last"
    assert f"{expected}: np.moveaxis(inputs, 1, -1)" in refusal(x, LABELS)
    last = np.moveaxis(x, 1, -1)
    assert from_arrays(last, LABELS).input_shape == (*shape[1:], shape[0])
    assert "test_inputs of shape" in refusal(last, LABELS, test_inputs=x, test_targets=LABELS)
    np.savez(tmp_path / "own.npz", x=x, y=LABELS)
    with pytest.raises(DataError, match="own.npz: .* channels first"):
        load(tmp_path / "own.npz")


@pytest.mark.parametrize(
    "shape",
    [(28, 28, 1), (28, 28, 3), (3, 3, 3), (4, 28, 1), (2, 16, 16, 3), (64, 1, 12), (8, 8, 64)],
)
def test_channels_last_are_read(shape: tuple[int, ...]) -> None:
    assert from_arrays(np.zeros((40, *shape), np.uint8), LABELS).input_shape == shape


def test_several_inputs_are_refused_with_what_to_do_instead():
    images, ages = RNG.normal(size=(40, 8, 8, 1)), RNG.normal(size=(40, 1))
    for inputs in ({"image": images, "age": ages}, (images, ages), [images, ages]):
        text = refusal(inputs, LABELS)
        assert "inputs are 2 arrays" in text
        assert "let the study's `call` split them" in text
