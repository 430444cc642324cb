"""Shared by all readers of files: one kind of error, and sizes checked before allocation."""

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from jcnn.data.errors import DataError
from jcnn.data.items import check_text

MAX_BYTES = 8 * 2**30
"""The default limit on the bytes of a reader's arrays: 8 GiB."""

DEFLATE_LIMIT = 1032
"""The largest compression ratio that the deflate format (gzip, zip) allows."""

MOST_EXPANSION, ALWAYS_ALLOWED = 500, 2**28
"""By default, arrays may take 500 times the bytes of their files, or 256 MiB if that is more.

Masks of volumes take 200 times theirs; a file of zeros takes 1,000.
"""


@contextmanager
def reading(path: object, what: str) -> Iterator[None]:
    """Convert any exception of a parser into a DataError that names the file.

    `path` is any object that prints as the file or folder.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such {what}; check the path") from error
    except Exception as error:
        # The parsers (zipfile, zlib, numpy's headers, Pillow's plugins) do not document which
        # exceptions invalid bytes can raise, so any exception means that the file is bad.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"{path}: not a readable {what} ({reason}); download or write the file again"
        ) from error


@contextmanager
def blaming(path: object) -> Iterator[None]:
    """Prefix errors about arrays with the file that they were read from."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def check_file(path: Path, what: str) -> int:
    """Return the size of a file. Raises DataError if it is missing, or not a regular file."""
    check_text(str(path), "the path of the data")
    with reading(path, what):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise DataError(f"{path}: not a file but {kind}, expected a regular {what}")
    return status.st_size


def check_budget(path: object, field: str, needed: int, max_bytes: int | None) -> None:
    """Raise DataError if more than `max_bytes` are needed, before memory is allocated.

    None means `MAX_BYTES`.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    if needed > limit:
        raise DataError(
            f"{path}: {field} would take {needed:,} bytes, more than the limit of {limit:,}; "
            "use fewer or smaller examples, or raise max_bytes"
        )


def check_expansion(
    path: object, field: str, needed: int, held: int, max_bytes: int | None
) -> None:
    """Raise DataError if files of `held` bytes would become far larger in memory.

    A limit that the user gives, `max_bytes`, takes the place of this one.
    """
    if max_bytes is None and needed > max(MOST_EXPANSION * held, ALWAYS_ALLOWED):
        raise DataError(
            f"{path}: {field} would take {needed:,} bytes, far more than the {held:,} bytes on "
            f"disk; expected at most {MOST_EXPANSION} times as many, or {ALWAYS_ALLOWED:,}: check "
            "the file, write it with less compression, or pass max_bytes to the reader in Python"
        )


def fill(stream: io.BufferedIOBase, array: np.ndarray) -> int:
    """Read into a contiguous array; return the number of bytes read, which may be too few."""
    view = memoryview(array.reshape(-1).view(np.uint8))
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled
