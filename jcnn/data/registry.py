"""The registered data sets, and the function that loads any data set by name or path."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jcnn.data.archive import ENDINGS, archive_stem, load_image_archive
from jcnn.data.cifar import CIFAR10, CLASSES, find_cifar10, load_cifar10, where_to_put_cifar10
from jcnn.data.dataset import Dataset
from jcnn.data.digits import INSIDE, MADE, digits, digits_rotated, moving_digits
from jcnn.data.directories import check_directories
from jcnn.data.errors import DataError, UnknownDataError
from jcnn.data.images import load_image_folder
from jcnn.data.items import check_text
from jcnn.data.mnist import (
    IDX_SOURCES,
    find_idx_set,
    has_idx_files,
    load_idx_folder,
    load_idx_set,
    where_to_put,
)
from jcnn.data.npz import load_npz
from jcnn.data.reading import check_file
from jcnn.data.resize import ResizeTo, check_resizable
from jcnn.data.shapeset import FOUND, shapeset
from jcnn.errors import hint


@dataclass(frozen=True)
class Entry:
    """A line of `jcnn data list`: a data set's name, description, sizes and source.

    `num_classes` is None for regression. `found` is the source of the data or, if not `ready`, an
    instruction on how to provide it.
    """

    name: str
    description: str
    input_shape: tuple[int, ...]
    train_examples: int
    test_examples: int
    num_classes: int | None
    found: str
    ready: bool


_SHIPPED: dict[str, tuple[Callable[[], Dataset], Entry]] = {
    entry.name: (loader, entry)
    for loader, entry in (
        (
            digits,
            Entry("digits", "handwritten digits", (8, 8, 1), 1438, 359, 10, INSIDE, True),
        ),
        (
            digits_rotated,
            Entry(
                "digits-rotated",
                "by which angle is a digit turned? (regression, units of 45 degrees)",
                (8, 8, 1),
                1438,
                359,
                None,
                MADE,
                True,
            ),
        ),
        (
            moving_digits,
            Entry(
                "moving-digits",
                "in which direction does a digit move? (clips of 8 frames)",
                (8, 16, 16, 1),
                1000,
                300,
                4,
                MADE,
                True,
            ),
        ),
        (
            shapeset,
            Entry(
                "shapeset",
                "which of triangles, parallelograms, ellipses? Glorot and Bengio 2010",
                (32, 32, 1),
                50000,
                10000,
                9,
                FOUND,
                True,
            ),
        ),
    )
}


def available(*, data_dir: str | os.PathLike[str] | None = None) -> list[Entry]:
    """Return every registered data set and where it was found, without reading or downloading.

    >>> "digits" in {entry.name for entry in available()}
    True
    """
    check_directories(data_dir)
    entries = [entry for _, entry in _SHIPPED.values()]
    for name, source in IDX_SOURCES.items():
        folder = find_idx_set(name, data_dir)
        place = f"not found: {where_to_put(name, data_dir)}" if folder is None else str(folder)
        entries.append(
            Entry(
                name,
                source.description,
                (28, 28, 1),
                60000,
                10000,
                len(source.classes),
                place,
                folder is not None,
            )
        )
    return [*entries, _cifar10(data_dir)]


def _cifar10(data_dir: str | os.PathLike[str] | None) -> Entry:
    place = find_cifar10(data_dir)
    return Entry(
        CIFAR10,
        "small photographs of ten things, Krizhevsky 2009",
        (32, 32, 3),
        50000,
        10000,
        len(CLASSES),
        f"not found: {where_to_put_cifar10(data_dir)}" if place is None else str(place),
        place is not None,
    )


def load(
    name_or_path: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    resize: ResizeTo | None = None,
) -> Dataset:
    """Load a registered data set by name, or your own from a path.

    Names: `digits`, `digits-rotated`, `moving-digits` and `shapeset` are always available. `mnist`,
    `fashion-mnist` and `kmnist` are searched in `data_dir`, `$JCNN_DATA`, `/usr/share/datasets` and
    the cache, and otherwise downloaded into the cache if `download`. `cifar10` is searched in the
    same places, as folders of images or an archive of them, and never downloaded.

    Paths: an `.npz` file (`load_npz`), a folder of images (`load_image_folder`), a tar archive of
    one (`load_image_archive`), or a folder of four IDX files named as those of MNIST. Names take
    precedence; write `./digits` for a folder that is called like a data set. `resize` brings the
    images of a folder or an archive to one size.

    Raises DataError for an unknown name (with the nearest names) and missing or invalid files.

    >>> from jcnn.data import load
    >>> data = load("digits")
    >>> data.train_inputs.shape, data.num_classes
    ((1438, 8, 8, 1), 10)
    """
    name = os.fspath(name_or_path)
    if name in (*_SHIPPED, *IDX_SOURCES, CIFAR10):
        check_resizable(name, resize)
    if name in _SHIPPED:
        return _SHIPPED[name][0]()
    if name in IDX_SOURCES:
        return load_idx_set(name, data_dir=data_dir, download=download)
    if name == CIFAR10:
        return load_cifar10(data_dir=data_dir)
    return _load_path(name, resize)


def _load_path(name: str, resize: ResizeTo | None) -> Dataset:
    check_text(name, "the path of the data")
    path = Path(name)
    if os.path.isdir(name):
        if not has_idx_files(path):
            return load_image_folder(path, resize=resize)
        check_resizable(name, resize)
        return load_idx_folder(path)
    if path.suffix == ".npz":
        check_resizable(name, resize)
        return load_npz(path)
    if os.path.exists(name):
        check_file(path, "file")
    if archive_stem(path) and os.path.isfile(name):
        return load_image_archive(path, resize=resize)
    if os.path.exists(name):
        raise DataError(
            f"{path}: neither an .npz file, a folder nor a tar archive of images "
            f"({', '.join(ENDINGS)}); unpack other archives first and pass the folder"
        )
    known = [*_SHIPPED, *IDX_SOURCES, CIFAR10]
    raise UnknownDataError(
        f"{name or repr(name)}: neither a data set nor a file or folder that exists; "
        f"{hint(name.lower(), known)}"
    )
