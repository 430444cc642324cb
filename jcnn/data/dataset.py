"""A data set in memory: checked arrays, their meaning, and a digest of their bytes."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jcnn.data.errors import DataError
from jcnn.data.items import check_text

_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test examples, checked once and then read-only.

    `train_inputs` and `test_inputs` are `(n, *spatial, channels)`, uint8 (images, 0 to 255) or
    float32; `(n, features)` has no spatial axis. Inputs are not normalized here; `mean` and `std`
    are for that.

    Targets are int32 `(n,)`, indices into `classes`, for classification; with `classes=None` they
    are float32 `(n,)` or `(n, k)` for regression, or dense, `(n, *spatial)` of float32 or int32
    (such as masks), for a loss of one's own. Validation examples are None if a study splits them
    off the training examples. `source` is the place where the data was found,
    and `remarks` say what a reader left out there, in one line that is empty if it read everything.

    Raises DataError if shapes, dtypes, lengths or labels disagree, or a float is not finite.

    >>> import numpy as np
    >>> from jcnn.data import Dataset
    >>> images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 1, 0, 1], np.int32)
    >>> data = Dataset("tiny", images, labels, images, labels, classes=("a", "b"), source="here")
    >>> data.input_shape, data.num_classes, data.task
    ((8, 8, 1), 2, 'classification')
    """

    name: str
    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    classes: tuple[str, ...] | None
    source: str
    remarks: str = ""
    validation_inputs: np.ndarray | None = None
    validation_targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check everything, then keep read-only views, so that the digest stays valid."""
        if (self.validation_inputs is None) != (self.validation_targets is None):
            raise self._fail("validation_inputs", "and validation_targets go together")
        for part in self._parts:
            self._check_inputs(f"{part}_inputs", 2 if part == "train" else 1)
            self._check_targets(f"{part}_targets", getattr(self, f"{part}_inputs").shape[0])
        for part in self._parts[1:]:
            self._check_parts_agree(part, "inputs")
            self._check_parts_agree(part, "targets")
            self._check_classes_seen(f"{part}_targets")
        for field in self._fields:
            view = np.ascontiguousarray(getattr(self, field)).view()
            view.flags.writeable = False
            object.__setattr__(self, field, view)

    @property
    def _parts(self) -> list[str]:
        return ["train", "test", *["validation"] * (self.validation_inputs is not None)]

    @property
    def _fields(self) -> list[str]:
        return [f"{part}_{kind}" for part in self._parts for kind in ("inputs", "targets")]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: `(*spatial, channels)`."""
        return self.train_inputs.shape[1:]

    @property
    def num_classes(self) -> int | None:
        """The number of classes, or None for regression."""
        return None if self.classes is None else len(self.classes)

    @property
    def task(self) -> str:
        """Either "classification" or "regression"."""
        return "regression" if self.classes is None else "classification"

    def digest(self) -> str:
        """Return the SHA-256 (hexadecimal) of the arrays' dtypes, shapes and bytes."""
        return self._digest

    @property
    def mean(self) -> np.ndarray:
        """The mean of each channel over the training inputs: float32 `(channels,)`."""
        return self._moments[0]

    @property
    def std(self) -> np.ndarray:
        """The standard deviation of each channel over the training inputs: float32 `(channels,)`.

        It is 1.0 for a channel that is constant (to float32 precision), so division is always safe.
        """
        return self._moments[1]

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        for array in (getattr(self, field) for field in self._fields):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.data)
        return digest.hexdigest()

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        rows = self.train_inputs.reshape(-1, self.train_inputs.shape[-1])
        step = max(1, _CHUNK_ELEMENTS // rows.shape[1])
        chunks = [slice(start, start + step) for start in range(0, len(rows), step)]
        total = [rows[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks]
        mean = np.sum(total, axis=0) / len(rows)
        # Two passes: one pass (mean of squares minus squared mean) cancels for small spreads.
        spread = [np.square(rows[chunk] - mean).sum(axis=0) for chunk in chunks]
        std = np.sqrt(np.sum(spread, axis=0) / len(rows))
        varies = std > np.finfo(np.float32).eps * np.abs(mean)
        std = np.where(varies, std, 1.0).astype(np.float32)
        return mean.astype(np.float32), np.where(std > 0, std, np.float32(1.0))

    def _fail(self, field: str, problem: str) -> DataError:
        return DataError(f"data set {self.name!r}: {field} {problem}")

    def _check_inputs(self, field: str, least: int) -> None:
        inputs: np.ndarray = getattr(self, field)
        if inputs.dtype not in (np.uint8, np.float32):
            raise self._fail(field, f"is {inputs.dtype}, expected uint8 or float32; convert it")
        if inputs.ndim < 2 or 0 in inputs.shape[1:]:
            raise self._fail(
                field,
                f"has shape {inputs.shape}, expected (examples, *spatial, channels) with no empty "
                "axis; add the channel axis with inputs[..., None]",
            )
        if len(inputs) < least:
            raise self._fail(field, f"has {len(inputs)} examples, expected at least {least}")
        self._check_finite(field, inputs)

    def _check_targets(self, field: str, examples: int) -> None:
        targets: np.ndarray = getattr(self, field)
        if targets.ndim < 1 or len(targets) != examples:
            raise self._fail(
                field,
                f"has shape {targets.shape}, expected one target for each of {examples} inputs",
            )
        if self.classes is None:
            self._check_values(field, targets)
        else:
            self._check_labels(field, targets, self.classes)

    def _check_values(self, field: str, targets: np.ndarray) -> None:
        dense = targets.ndim > 2 and targets.dtype == np.int32
        if not (dense or targets.dtype == np.float32) or 0 in targets.shape[1:]:
            raise self._fail(
                field,
                f"is {targets.dtype} of shape {targets.shape}, expected float32 of shape (n,) or "
                "(n, k) for regression, or (n, *spatial) for a loss of your own, which takes int32 "
                "too; for classification give the classes",
            )
        self._check_finite(field, targets)

    def _check_labels(self, field: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        if len(classes) < 2 or len(set(classes)) != len(classes):
            raise self._fail("classes", f"is {classes}, expected at least two different names")
        for name in classes:
            check_text(str(name), f"data set {self.name!r}")
        if labels.dtype != np.int32 or labels.ndim != 1:
            raise self._fail(
                field,
                f"is {labels.dtype} of shape {labels.shape}, expected int32 of shape (n,): one "
                "class index per example",
            )
        wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
        if wrong.size:
            raise self._fail(
                field,
                f"has label {labels[wrong[0]]} at index {wrong[0]}, expected 0 to "
                f"{len(classes) - 1} for {len(classes)} classes",
            )

    def _check_classes_seen(self, field: str) -> None:
        if self.classes is None:
            return
        unseen = np.setdiff1d(getattr(self, field), self.train_targets)
        if unseen.size:
            raise self._fail(
                field,
                f"has class {self.classes[unseen[0]]!r}, which no training example has; a network "
                "could not learn it",
            )

    def _check_finite(self, field: str, array: np.ndarray) -> None:
        if array.dtype == np.float32 and not np.isfinite(array).all():
            first = tuple(int(axis[0]) for axis in np.nonzero(~np.isfinite(array)))
            raise self._fail(
                field,
                f"is {array[first]} at index {first}, expected finite numbers; clean the data",
            )

    def _check_parts_agree(self, part: str, kind: str) -> None:
        train: np.ndarray = getattr(self, f"train_{kind}")
        other: np.ndarray = getattr(self, f"{part}_{kind}")
        if train.shape[1:] != other.shape[1:] or train.dtype != other.dtype:
            raise self._fail(
                f"{part}_{kind}",
                f"is {other.dtype} with examples of shape {other.shape[1:]}, but train_{kind} is "
                f"{train.dtype} with {train.shape[1:]}; they must agree",
            )
