"""A Dataset from the data sets of other libraries: Hugging Face, Grain, PyTorch, tf.data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.image_file import displayed
from jcnn.data.image_layout import PARTS
from jcnn.data.reading import MAX_BYTES

INPUTS = ("image", "img", "pixel_values", "input", "inputs", "x", "features")
"""The names of the field with an example's input, the first that is there."""

TARGETS = ("label", "labels", "fine_label", "target", "targets", "y")
"""The names of the field with an example's target, the first that is there."""


class _Part(NamedTuple):
    inputs: np.ndarray
    targets: np.ndarray
    classes: Sequence[str] | None
    remark: str


def from_source(
    source: Any,
    *,
    test: Any = None,
    validation: Any = None,
    inputs: str | int | None = None,
    target: str | int | None = None,
    classes: Sequence[str] | None = None,
    batched: bool | None = None,
    name: str = "data",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Read a Dataset from the data sets of other libraries, or from batches.

    A source is one of:

    - whatever has a length and gives examples by number: a `datasets.Dataset` of Hugging Face, a
      data source or `MapDataset` of Grain, a `torch.utils.data.Dataset`, a data source of tfds;
    - an iterable of examples or of batches: a generator, a `tf.data.Dataset`, an `IterDataset` of
      Grain, a `DataLoader` of PyTorch;
    - a pair of arrays `(inputs, targets)`;
    - a mapping of these by part, such as a `DatasetDict`: "train", and "test" and "validation" if
      there are any. A validation part without a test part is the test set, as `remarks` say.

    An example is a pair `(input, target)` or a mapping, whose fields are called `inputs` and
    `target`, by default the first of `INPUTS` and `TARGETS` that is there. `batched` says whether a
    source gives batches, which is otherwise seen by their targets. None, which Grain gives for a
    filtered example, is left out. Images of Pillow are read as displayed, grey or RGB. In tensors
    of PyTorch, the channels come first, and are moved to the last axis. Names of classes are those
    of the training part, if it has them. Everything is read into memory, up to `max_bytes`.

    Raises DataError for examples of several shapes, for fields that are not there, if there are
    more bytes, if parts name their classes differently, and if `batched` is needed.

    >>> examples = [{"image": np.full((4, 4), i, np.uint8), "label": "ab"[i % 2]} for i in range(9)]
    >>> data = from_source(examples)
    >>> data.train_inputs.shape, data.classes
    ((7, 4, 4, 1), ('a', 'b'))
    """
    remarks: list[str] = []
    if source is None:
        raise DataError(f"{name} is None; expected a data set (see jcnn.data.from_source)")
    if hasattr(source, "keys"):
        given, remarks = _by_part(name, source)
        test = given.get("test") if test is None else test
        validation = given.get("validation") if validation is None else validation
        source = given["train"]
        if test is None and validation is not None:
            test, validation = validation, None
            remarks.append("the validation part is the test set")
    parts = {
        part: _read(f"{name} ({part})", each, inputs, target, max_bytes, batched)
        for part, each in {"train": source, "test": test, "validation": validation}.items()
        if each is not None
    }
    arrays = {
        f"{part}_{kind}": getattr(read, kind)
        for part, read in parts.items()
        if part != "train"
        for kind in ("inputs", "targets")
    }
    train = parts["train"]
    for part, read in parts.items():
        if train.classes and read.classes and list(read.classes) != list(train.classes):
            raise DataError(
                f"{name}: the classes of the {part} part are {', '.join(read.classes)}, those of "
                f"the training part {', '.join(train.classes)}; give all parts the same"
            )
    remarks += dict.fromkeys(part.remark for part in parts.values() if part.remark)
    return from_arrays(
        train.inputs,
        train.targets,
        **arrays,
        name=name,
        classes=train.classes if classes is None else classes,
        source=f"{type(source).__module__.partition('.')[0]}.{type(source).__name__}",
        remarks="; ".join(remarks),
    )


def is_source(value: Any) -> bool:
    """Return whether a value is a source for `from_source`, and neither an array nor numbers.

    >>> is_source((np.zeros((3, 2)), np.zeros(3))), is_source(np.zeros(3)), is_source([1, 2])
    (True, False, False)
    """
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], (tuple, Mapping))
    return isinstance(value, (tuple, Mapping)) or not hasattr(value, "__array__")


def _by_part(name: str, source: Any) -> tuple[dict[str, Any], list[str]]:
    """The sources by part, and what is ignored."""
    found, ignored = {}, []
    for key in source.keys():  # noqa: SIM118 (not every mapping here is a Mapping)
        part = next((part for part, names in PARTS.items() if str(key).lower() in names), None)
        if part is None:
            ignored.append(str(key))
        elif part in found:
            raise DataError(f"{name}: two parts are the {part} part; keep one of them")
        else:
            found[part] = source[key]
    if "train" not in found:
        raise DataError(f"{name}: has the parts {ignored or [*found]}, expected one called train")
    return found, [f"{', '.join(ignored)} ignored"] if ignored else []


def _read(
    name: str,
    source: Any,
    inputs: str | int | None,
    target: str | int | None,
    max_bytes: int,
    batched: bool | None,
) -> _Part:
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], tuple):
        return _Part(np.asarray(source[0]), np.asarray(source[1]), None, "")
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    size, fields, moved, is_batch = 0, (inputs, target), False, False
    for number, example in enumerate(_examples(name, source)):
        fields = _fields(name, example, inputs, target) if number == 0 else fields
        try:
            x, y = example[fields[0]], np.asarray(example[fields[1]])
        except (KeyError, IndexError, TypeError) as error:
            raise DataError(f"{name}: example {number} has no {error}") from error
        array, first = _image(x)
        moved = moved or first
        if number == 0:
            is_batch = _is_batch(name, array, y) if batched is None else batched
        if xs and array.shape[is_batch:] != xs[0].shape[is_batch:]:
            raise DataError(
                f"{name}: example {number} has shape {array.shape}, the first {xs[0].shape}; "
                "bring them to one size, or make batches of them"
            )
        size += array.nbytes
        if size > max_bytes:
            raise DataError(
                f"{name}: more than {max_bytes:,} bytes; is it endless? Take a part of it "
                "(itertools.islice), or raise max_bytes"
            )
        xs.append(array)
        ys.append(y)
    if not xs:
        raise DataError(f"{name}: has no examples (an iterator can be read only once)")
    join = np.concatenate if is_batch else np.stack
    names = _class_names(source, fields[1])
    return _Part(join(xs), join(ys), names, "channels moved to the last axis" if moved else "")


def _examples(name: str, source: Any) -> Iterator[Any]:
    """The examples, or batches, of a source."""
    if hasattr(source, "as_numpy_iterator"):
        yield from source.as_numpy_iterator()
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        if isinstance(source, Mapping):
            raise DataError(f"{name} is a mapping; expected examples or batches")
        given = (source[number] for number in range(len(source)))
        yield from (example for example in given if example is not None)
    elif isinstance(source, Iterable):
        yield from source
    else:
        raise DataError(
            f"{name} is a {type(source).__name__}; expected arrays (inputs, targets), a data set "
            "with a length and examples by number, or an iterable of examples or batches"
        )


def _fields(
    name: str, example: Any, inputs: str | int | None, target: str | int | None
) -> tuple[Any, Any]:
    """The keys of an example's input and target."""
    if not hasattr(example, "keys"):
        if not isinstance(example, (tuple, list)) or len(example) < 2:
            raise DataError(
                f"{name}: an example is a {type(example).__name__}; expected a pair (input, "
                "target), or a mapping with both"
            )
        return 0 if inputs is None else inputs, 1 if target is None else target
    fields = [*example.keys()]
    chosen = []
    for kind, given, known in (("inputs", inputs, INPUTS), ("target", target, TARGETS)):
        found = given if given is not None else next((n for n in known if n in fields), None)
        if found not in fields:
            listed = ", ".join(map(str, fields))
            raise DataError(
                f"{name}: none of the fields {listed} is known as the {kind}; name it: "
                f"jcnn.data.from_source(source, {kind}=...)"
            )
        chosen.append(found)
    return chosen[0], chosen[1]


def _is_batch(name: str, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether inputs and targets are those of a batch: as many targets as inputs."""
    fits = y.ndim > 0 and x.ndim > 1 and len(x) == len(y)
    if fits and y.dtype.kind == "f":
        raise DataError(
            f"{name}: inputs of shape {x.shape} with targets of shape {y.shape} may be a batch or "
            "one example; say which: jcnn.data.from_source(source, batched=True), or False"
        )
    return fits


def _image(x: Any) -> tuple[np.ndarray, bool]:
    """An input as an array, and whether its channels were first, as in tensors of PyTorch."""
    if type(x).__module__.startswith("PIL."):
        return displayed(x), False
    array = np.asarray(x)
    if not type(x).__module__.startswith("torch") or array.ndim not in (3, 4):
        return array, False
    if not array.shape[-3] <= 4 < min(array.shape[-2:]):
        return array, False
    return np.moveaxis(array, -3, -1), True


def _class_names(source: Any, target: Any) -> Sequence[str] | None:
    """The names of the classes: of a `ClassLabel` of Hugging Face, or `classes` of torchvision."""
    features: Any = getattr(source, "features", None)
    if isinstance(features, Mapping):
        names = getattr(features.get(target), "names", None)
    else:
        names = getattr(source, "classes", None)
    is_names = isinstance(names, (list, tuple)) and all(isinstance(each, str) for each in names)
    return tuple(names) if is_names and names else None
