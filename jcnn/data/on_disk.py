"""Arrays in a file: images that do not fit in memory, and parts of them that are read on demand."""

import hashlib
import json
import mmap
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from jcnn.data.errors import DataError
from jcnn.data.fetch import cache_dir


@contextmanager
def written_once(name: str, shape: tuple[int, ...]) -> Iterator[tuple[Path, np.ndarray | None]]:
    """Give the place of a file of uint8 in the cache, and an array to fill if it does not exist.

    The file appears under its name once the context ends; an error leaves nothing behind. Raises
    DataError if the disk has too little room.
    """
    folder = cache_dir() / "images"
    place = folder / f"{name}.npy"
    if place.exists():
        yield place, None
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            if place.exists():  # another process has written it in the meantime
                yield place, None
                return
            partial = folder / f"{name}.partial"
            partial.unlink(missing_ok=True)  # what an interruption left
            free, needed = shutil.disk_usage(folder).free, int(np.prod(shape, dtype=np.int64))
            if free < needed:
                raise DataError(
                    f"{folder}: has {free:,} bytes left, but the images take {needed:,} once "
                    "decoded; make room, use another folder (XDG_CACHE_HOME), or --resize to a "
                    "smaller size"
                )
            try:
                array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
                yield place, array
                array.flush()
                partial.replace(place)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}") from error


def key_of_files(files: Sequence[Path], how: str) -> str:
    """Return a hash of the names, sizes and times of files, and of how they are read.

    >>> key_of_files([], "224x224") == key_of_files([], "32x32")
    False
    """
    stats = [(str(file.absolute()), file.stat()) for file in files]
    content = [how, *((name, each.st_size, each.st_mtime_ns) for name, each in stats)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def is_on_disk(array: Any) -> bool:
    """Return whether an array is a part of a file, and not in memory.

    >>> is_on_disk(np.zeros(3))
    False
    """
    if isinstance(array, _OnDemand):
        return True
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap.mmap)


class _OnDemand:
    """What NumPy's arrays and those that are read on demand have in common."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        """Refuse: all of it may not fit in memory."""
        raise TypeError("these examples are read on demand; take some of their rows first")

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that all of it would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


class Rows(_OnDemand):
    """Some rows of an array, read when they are asked for.

    >>> some = Rows(np.arange(10) ** 2, np.array([1, 3, 5]))
    >>> len(some), some[1:].tolist(), some[np.array([2, 0])].tolist()
    (3, [9, 25], [25, 1])
    """

    def __init__(self, array: Any, rows: np.ndarray) -> None:
        self._array, self._rows = array, rows
        self.shape, self.dtype = (len(rows), *array.shape[1:]), array.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read rows: a slice, or an array of indices."""
        values: np.ndarray = self._array[self._rows[index]]
        return values


class Joined(_OnDemand):
    """Arrays one after another, read when they are asked for.

    >>> both = Joined([np.arange(3), np.arange(10, 13)])
    >>> len(both), both[np.array([4, 0])].tolist(), both[2:4].tolist()
    (6, [11, 0], [2, 10])
    """

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self._arrays, self._starts = arrays, np.cumsum([0, *map(len, arrays)])
        self.shape, self.dtype = (int(self._starts[-1]), *arrays[0].shape[1:]), arrays[0].dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read rows: a slice, or an array of indices."""
        rows = np.arange(len(self))[index]
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for array, start in zip(self._arrays, self._starts, strict=False):
            own = (rows >= start) & (rows < start + len(array))
            values[own] = array[rows[own] - start]
        return values


class Batches(_OnDemand):
    """The rows of several arrays in batches, the last one of each array filled up with zeros.

    >>> batches = Batches([np.arange(1, 4), np.arange(4, 6)], 2)
    >>> batches.shape, batches[1:3].tolist()
    ((3, 2), [[3, 0], [4, 5]])
    """

    def __init__(self, arrays: Sequence[Any], size: int) -> None:
        self._parts = [(array, first) for array in arrays for first in range(0, len(array), size)]
        self.shape = (len(self._parts), size, *arrays[0].shape[1:])
        self.dtype = arrays[0].dtype

    def __getitem__(self, index: slice) -> np.ndarray:
        """Read some batches, a slice of them."""
        parts = self._parts[index]
        result = np.zeros((len(parts), *self.shape[1:]), self.dtype)
        for batch, (array, first) in zip(result, parts, strict=True):
            rows = array[first : first + len(batch)]
            batch[: len(rows)] = rows
        return result
