"""Names of data sets, what stands behind them, and the one function that loads any of them."""

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
from jcnn.data.mnist import (
    IDX_SOURCES,
    find_idx_set,
    has_idx_files,
    load_idx_folder,
    load_idx_set,
    where_to_put,
)
from jcnn.data.npz import load_npz
from jcnn.data.shapeset import FOUND, shapeset
from jcnn.errors import hint


@dataclass(frozen=True)
class Entry:
    """One line of `jcnn data list`: a name, what it is, and where it was found.

    `num_classes` is None for regression. `found` says in words where the data is, or, where `ready`
    is false, what to put where.
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
    """Every registered data set, with where it was found; reads no data and uses no network.

    >>> "digits" in {entry.name for entry in available()}
    True
    """
    check_directories(data_dir)
    entries = [entry for _, entry in _SHIPPED.values()]
    for name, source in IDX_SOURCES.items():
        folder = find_idx_set(name, data_dir)
        found = f"not found: {where_to_put(name, data_dir)}" if folder is None else str(folder)
        entries.append(
            Entry(
                name,
                source.description,
                (28, 28, 1),
                60000,
                10000,
                len(source.classes),
                found,
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
) -> Dataset:
    """Load a registered data set by its name, or one's own from a path.

    Names: `digits`, `digits-rotated`, `moving-digits` and `shapeset` need nothing; `mnist`,
    `fashion-mnist` and `kmnist` are looked for in `data_dir`, `$JCNN_DATA`, `/usr/share/datasets`
    and the cache, and else downloaded into the cache unless `download` is false; `cifar10` is
    looked for in the same places, as folders of images or an archive of them, and never downloaded.

    Paths: an `.npz` file (`load_npz`), a folder of images (`load_image_folder`) or a tar archive of
    one (`load_image_archive`), or a folder of four IDX files named as MNIST's. A name wins over a
    path; write `./digits` for a folder called like a data set.

    Raises DataError: unknown (with the nearest names), missing, or a file that does not hold.

    >>> from jcnn.data import load
    >>> data = load("digits")
    >>> data.train_inputs.shape, data.num_classes
    ((1438, 8, 8, 1), 10)
    """
    name = os.fspath(name_or_path)
    if name in _SHIPPED:
        return _SHIPPED[name][0]()
    if name in IDX_SOURCES:
        return load_idx_set(name, data_dir=data_dir, download=download)
    if name == CIFAR10:
        return load_cifar10(data_dir=data_dir)
    return _load_path(name)


def _load_path(name: str) -> Dataset:
    path = Path(name)
    if os.path.isdir(name):
        return load_idx_folder(path) if has_idx_files(path) else load_image_folder(path)
    if path.suffix == ".npz":
        return load_npz(path)
    if archive_stem(path) and os.path.isfile(name):
        return load_image_archive(path)
    if os.path.exists(name):
        raise DataError(
            f"{path}: neither an .npz file, a folder nor a tar archive of images "
            f"({', '.join(ENDINGS)}); unpack other archives first and give the folder"
        )
    known = [*_SHIPPED, *IDX_SOURCES, CIFAR10]
    raise UnknownDataError(
        f"{name or repr(name)}: neither a data set nor a file or folder that exists; "
        f"{hint(name.lower(), known)}"
    )
