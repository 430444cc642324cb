"""Images, one folder per class, on disk or in anything else made of files and folders."""

import io
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from jcnn.data.arrays import from_arrays
from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.reading import MAX_BYTES, blaming, check_budget, reading

SUFFIXES = (".jpg", ".jpeg", ".png")
"""The suffixes of readable images, in lower case."""

_GREY_MODES = ("1", "L", "LA")
_COLOR_MODES = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")


@runtime_checkable
class Item(Protocol):
    """A file or a folder: the part of `pathlib.Path` that reading images needs.

    `str(item)` names it in errors. A missing item is not a folder.
    """

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def suffix(self) -> str:
        """The end of its name, from the last dot on."""

    def is_dir(self) -> bool:
        """Return whether it is a folder."""

    def iterdir(self) -> Iterable["Item"]:
        """Return the items in a folder."""

    def __truediv__(self, name: str, /) -> "Item":
        """Return the item in a folder by name."""

    def open(self, mode: Literal["rb"], /) -> io.BytesIO | io.BufferedReader:
        """Open a file to read its bytes."""


def load_image_folder(
    root: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, seed: int = 0
) -> Dataset:
    """Read a Dataset from `root/train/<class>/*.jpg` and `root/test/<class>/*.jpg`.

    Images are .jpg, .jpeg or .png. Without `test`, and for `root/<class>/*.png`, 20% of each class
    is split off with `seed`. Classes are the sub-folders, sorted by name. All images must have the
    same size and kind: grey (1 channel) or color (3 channels, RGB; transparency is dropped). Files
    with other suffixes and hidden files are skipped. Memory is allocated once, after its amount is
    checked against `max_bytes`.

    Raises DataError with the first offending image or folder, and the fix.

    >>> import tempfile, pathlib
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for i, name in enumerate(["cat", "dog"] * 10):
    ...         place = pathlib.Path(folder, "train", name)
    ...         place.mkdir(parents=True, exist_ok=True)
    ...         Image.new("RGB", (8, 8)).save(place / f"{i}.png")
    ...     pets = load_image_folder(folder)
    >>> pets.classes, pets.input_shape
    (('cat', 'dog'), (8, 8, 3))
    """
    root = Path(root)
    name = root.resolve().name
    return dataset_of_images(root, name=name, source=str(root), max_bytes=max_bytes, seed=seed)


def dataset_of_images(
    root: Item, *, name: str, source: str, max_bytes: int, seed: int = 0
) -> Dataset:
    """Read a Dataset as `load_image_folder` does, from any kind of folder."""
    with reading(root, "image folder"):
        train_root = root / "train" if _holds_folders(root / "train") else root
        classes = _class_names(train_root)
        test_root = root / "test"
        has_test = train_root != root and test_root.is_dir()
        if has_test:
            unknown = sorted(set(_class_names(test_root)) - set(classes))
            if unknown:
                raise DataError(
                    f"{test_root / unknown[0]}: class is not one of those in {train_root}"
                )
        train_files, train_labels = _list_files(train_root, classes)
        test_files, test_labels = _list_files(test_root, classes) if has_test else ([], [])
    images = _read_images(root, train_files + test_files, max_bytes)
    cut = len(train_files)
    with blaming(root):
        return from_arrays(
            images[:cut],
            np.array(train_labels),
            test_inputs=images[cut:] if has_test else None,
            test_targets=np.array(test_labels) if has_test else None,
            name=name,
            classes=classes,
            seed=seed,
            source=source,
        )


def _holds_folders(folder: Item) -> bool:
    """Distinguish a part called "train" from a class of pictures of trains."""
    return folder.is_dir() and any(item.is_dir() for item in folder.iterdir())


def _class_names(folder: Item) -> tuple[str, ...]:
    names = sorted(
        item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")
    )
    if len(names) < 2:
        raise DataError(
            f"{folder}: classes are {names}, expected a sub-folder of images for each of at least "
            "two classes"
        )
    return tuple(names)


def _list_files(folder: Item, classes: tuple[str, ...]) -> tuple[list[Item], list[int]]:
    files: list[Item] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        items = (folder / name).iterdir() if (folder / name).is_dir() else ()
        visible = [item for item in items if not item.name.startswith(".")]
        images = sorted(
            (item for item in visible if item.suffix.lower() in SUFFIXES),
            key=lambda item: item.name,
        )
        if not images:
            raise DataError(
                f"{folder / name}: class has no images; add {', '.join(SUFFIXES)} files or remove "
                "the class"
            )
        files += images
        labels += [label] * len(images)
    return files, labels


def _read_images(root: Item, files: list[Item], max_bytes: int) -> np.ndarray:
    from PIL import Image

    first: tuple[tuple[int, int], str] | None = None
    for index, path in enumerate(files):
        with (
            reading(path, "image"),
            path.open("rb") as raw,
            Image.open(raw, formats=("JPEG", "PNG")) as image,
        ):
            layout = image.size, _kind(path, image.mode)
            if first is None:
                first = layout
                shape = (len(files), image.height, image.width, 1 if first[1] == "L" else 3)
                check_budget(root, f"{shape} images in uint8", math.prod(shape), max_bytes)
                images = np.empty(shape, np.uint8)
            elif layout != first:
                raise DataError(
                    f"{path}: image is {_describe(*layout)}, but {files[0]} is "
                    f"{_describe(*first)}; convert all images to one size and mode first"
                )
            images[index] = np.asarray(image.convert(first[1])).reshape(shape[1:])
    return images


def _kind(path: Item, mode: str) -> str:
    if mode in _GREY_MODES:
        return "L"
    if mode in _COLOR_MODES:
        return "RGB"
    raise DataError(
        f"{path}: image has Pillow mode {mode}, expected 8 bits per channel (L or RGB); "
        "convert it, or save the arrays as .npz"
    )


def _describe(size: tuple[int, int], kind: str) -> str:
    return f"{size[0]}x{size[1]} {'grey' if kind == 'L' else 'color'}"
