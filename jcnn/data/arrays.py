"""A Dataset from arrays in memory, as readers and users both make it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.split import split_validation

# Of images that are displayed: grey, grey and opacity, RGB, RGB and opacity.
_MOST_CHANNELS = 4


def from_arrays(
    inputs: Any,
    targets: ArrayLike,
    *,
    test_inputs: ArrayLike | None = None,
    test_targets: ArrayLike | None = None,
    validation_inputs: ArrayLike | None = None,
    validation_targets: ArrayLike | None = None,
    name: str = "arrays",
    classes: Sequence[str] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    source: str = "arrays in memory",
    remarks: str = "",
) -> Dataset:
    """Check arrays and return a Dataset, splitting off test examples if none are given.

    `inputs` are `(n, features)`, `(n, height, width)` (a channel axis of 1 is added) or
    `(n, *spatial, channels)` with two or more spatial axes; a signal with one spatial axis is
    written `(n, length, 1, channels)` or passed to `Dataset` directly. uint8 stays uint8; every
    other dtype becomes float32. Images with channels first are refused.

    Integer targets `(n,)` or `(n, 1)` mean classification: they are indices into `classes`, or,
    without `classes`, the sorted distinct values are the classes. Float targets mean regression;
    floats that are all 0 or 1, such as one-hot rows, are labels in another form and are refused.
    `Dataset` takes such arrays as they are. Targets `(n, *spatial)` of two or more spatial axes,
    such as masks, are for a study with a loss of its own.

    Targets that are strings are classes too, in alphabetical order.

    Without test arrays, `test_fraction` of the examples, of each class alike, is split off with
    `seed`. Without validation arrays, studies split theirs off the training examples.

    Raises DataError with the offending argument.

    >>> import numpy as np
    >>> from jcnn.data import from_arrays
    >>> data = from_arrays(np.zeros((10, 8, 8), np.uint8), np.arange(10) % 2)
    >>> data.train_inputs.shape, data.classes
    ((8, 8, 8, 1), ('0', '1'))
    """
    given = {
        "": (inputs, targets),
        "test_": (test_inputs, test_targets),
        "validation_": (validation_inputs, validation_targets),
    }
    parts = {}
    for prefix, (x, y) in given.items():
        if x is None and y is None:
            continue
        if x is None or y is None:
            raise DataError(
                f"{name}: {prefix}inputs and {prefix}targets go together; give both or neither"
            )
        parts[prefix] = _pair(name, prefix, x, y)
    names, encoded = _encode(name, [y for _, y in parts.values()], classes)
    checked = {prefix: (x, y) for (prefix, (x, _)), y in zip(parts.items(), encoded, strict=True)}
    if "test_" not in checked:
        x, y = checked[""]
        train, test = split_validation(y, test_fraction, seed=seed, stratify=names is not None)
        checked |= {"": (x[train], y[train]), "test_": (x[test], y[test])}
    return Dataset(
        name,
        *checked[""],
        *checked["test_"],
        names,
        source,
        remarks,
        *checked.get("validation_", (None, None)),
    )


def _pair(name: str, prefix: str, inputs: Any, targets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x = _numbers(name, f"{prefix}inputs", inputs)
    y = _numbers(name, f"{prefix}targets", targets, strings=True)
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y):
        raise DataError(
            f"{name}: {prefix}inputs of shape {x.shape} and {prefix}targets of shape {y.shape} do "
            "not match; expected (n, ...) with n targets"
        )
    if _has_channels_first(x.shape):
        raise DataError(
            f"{name}: {prefix}inputs of shape {x.shape} have {x.shape[1]} channels first; expected "
            f"channels last: np.moveaxis({prefix}inputs, 1, -1)"
        )
    if x.ndim == 3:
        x = x[..., None]
    return (x if x.dtype == np.uint8 else _float32(x)), y


def _has_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the second axis, and no later one, is as short as an axis of channels."""
    return len(shape) > 3 and shape[1] <= _MOST_CHANNELS < min(shape[2:])


def _numbers(name: str, field: str, values: Any, *, strings: bool = False) -> np.ndarray:
    several = isinstance(values, Mapping) or (
        isinstance(values, (tuple, list))
        and len({np.shape(each)[1:] for each in values if hasattr(each, "shape")}) > 1
    )
    if several:
        raise DataError(
            f"{name}: {field} are {len(values)} arrays, and a data set has one: put them side by "
            "side, as rows of numbers, and let the study's `call` split them"
        )
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{name}: {field} is not a regular array ({error})") from error
    if strings and array.dtype.kind == "O" and all(isinstance(each, str) for each in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in ("biufU" if strings else "biuf"):
        raise DataError(f"{name}: {field} has dtype {array.dtype}, expected integers or floats")
    return array


def _float32(array: np.ndarray) -> np.ndarray:
    # Values that overflow become infinite, which Dataset refuses with a clear message.
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _encode(
    name: str, targets: list[np.ndarray], classes: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, list[np.ndarray]]:
    """Return class names (None for regression) and the targets in the dtype of a Dataset."""
    if any(part.dtype.kind == "U" for part in targets):
        return _encode_names(name, targets, classes)
    if all(part.dtype.kind == "f" for part in targets):
        if classes is not None:
            raise DataError(
                f"{name}: targets are floats, but classes are given; use integer labels"
            )
        for part in targets:
            _refuse_indicators(name, part)
        return None, [_float32(part) for part in targets]
    if any(part.dtype.kind == "f" for part in targets):
        raise DataError(f"{name}: targets are integers in one part and floats in the other")
    if all(part.ndim > 2 for part in targets) and classes is None:
        return None, [part.astype(np.int32) for part in targets]
    labels = [_one_label_each(name, part) for part in targets]
    if classes is not None:
        return tuple(classes), [_indices(name, part, len(classes)) for part in labels]
    values = np.unique(np.concatenate(labels))
    names = tuple(str(int(value)) for value in values)
    return names, [np.searchsorted(values, part).astype(np.int32) for part in labels]


def _encode_names(
    name: str, targets: list[np.ndarray], classes: Sequence[str] | None
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Return class names and indices of targets that are strings."""
    if any(part.dtype.kind != "U" for part in targets):
        raise DataError(f"{name}: targets are strings in one part and numbers in another")
    labels = [_one_label_each(name, part) for part in targets]
    found = np.unique(np.concatenate(labels))
    names = tuple(map(str, found if classes is None else classes))
    unknown = sorted({*map(str, found)} - {*names})
    if unknown:
        raise DataError(f"{name}: label {unknown[0]!r} is not one of the classes {names}")
    places = {label: index for index, label in enumerate(names)}
    return names, [np.array([places[str(y)] for y in part], np.int32) for part in labels]


def _one_label_each(name: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        _refuse_indicators(name, labels)
        raise DataError(
            f"{name}: integer targets have shape {labels.shape}, expected one label per example, "
            "(n,) or (n, 1); for a regression, pass floats"
        )
    return labels


def _refuse_indicators(name: str, targets: np.ndarray) -> None:
    """Raise DataError for labels in another form: targets that are all 0 or 1, and both occur."""
    zeros, ones = targets == 0, targets == 1
    if not (zeros | ones).all() or zeros.all() or ones.all():
        return
    is_row = targets.ndim == 2 and targets.shape[1] > 1
    if not is_row:
        form, remedy = "all 0.0 or 1.0", "for two classes, pass targets.astype(int)"
    elif (ones.sum(axis=1) == 1).all():
        form, remedy = "one-hot rows", "pass the labels, targets.argmax(axis=1)"
    else:
        form = "rows of 0 and 1, several labels per example"
        remedy = "make a jcnn.data.Dataset of float32 targets, and give a study a loss for them"
    raise DataError(
        f"{name}: targets of shape {targets.shape} are {form}; {remedy} (for a regression on them, "
        "make a jcnn.data.Dataset of float32 targets)"
    )


def _indices(name: str, labels: np.ndarray, num_classes: int) -> np.ndarray:
    # Checked before the cast: a label beyond int32 would wrap around to a valid one.
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"{name}: label {wrong[0]} is outside 0 to {num_classes - 1} for {num_classes} classes"
        )
    return labels.astype(np.int32)
