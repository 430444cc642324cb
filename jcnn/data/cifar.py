"""CIFAR-10 as images in folders or in an archive of them; it is never downloaded."""

import os
from collections.abc import Iterator
from pathlib import Path

from jcnn.data.archive import archive_stem, open_archive
from jcnn.data.dataset import Dataset
from jcnn.data.directories import check_directories, common_places, given_places, place_for
from jcnn.data.errors import DataError
from jcnn.data.images import dataset_of_images
from jcnn.data.items import Item

CIFAR10 = "cifar10"
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_FOLDERS = ("cifar10", "cifar-10")
_SHAPE = (32, 32, 3)


def find_cifar10(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the first folder or archive of CIFAR-10, or None.

    The search order is `data_dir`, `$JCNN_DATA`, `/usr/share/datasets`, the cache. In each of them,
    `cifar10`, `cifar-10` or the directory itself contains the folders `train/airplane` and so on,
    or an archive of them called `cifar10*.tar*`.
    """
    return next(_candidates(data_dir), None)


def where_to_put_cifar10(data_dir: str | os.PathLike[str] | None = None) -> str:
    """Return an instruction: which files to put where."""
    return (
        "put train/<class>/*.jpg and test/<class>/*.jpg (or .png), or an archive of them called "
        f"{CIFAR10}*.tar*, into {place_for(CIFAR10, data_dir)}"
    )


def load_cifar10(*, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load CIFAR-10 (Krizhevsky 2009) from disk.

    Raises DataError if it is not found, or if it has other parts, classes or image sizes.
    """
    check_directories(data_dir)
    path = find_cifar10(data_dir)
    if path is None:
        raise DataError(f"{CIFAR10}: {where_to_put_cifar10(data_dir)}")
    root: Item = path if path.is_dir() else open_archive(path)
    for part in ("train", "test"):
        if not (root / part).is_dir():
            raise DataError(f"{root / part}: folder is missing; {where_to_put_cifar10(data_dir)}")
    data = dataset_of_images(root, name=CIFAR10, source=str(path), max_bytes=None)
    if data.classes != CLASSES or data.input_shape != _SHAPE:
        raise DataError(
            f"{path}: classes are {', '.join(data.classes or ())} and images {data.input_shape}, "
            f"expected {', '.join(CLASSES)} and {_SHAPE}; this is not CIFAR-10, load it by its path"
        )
    return data


def _candidates(data_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    for place in (*given_places(data_dir), *common_places()):
        folders = [*(place / name for name in _FOLDERS), place]
        yield from (item for item in folders if os.path.isdir(item / "train" / CLASSES[0]))
        for folder in folders:
            archives = filter(archive_stem, sorted(folder.glob(f"{CIFAR10}*.tar*")))
            yield from filter(os.path.isfile, archives)
