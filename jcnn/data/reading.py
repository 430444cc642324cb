"""Shared by all readers of files: one kind of error, and sizes checked before allocation."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from jcnn.data.errors import DataError

MAX_BYTES = 8 * 2**30
"""The default limit on the bytes of a reader's arrays: 8 GiB."""

DEFLATE_LIMIT = 1032
"""The largest compression ratio that the deflate format (gzip, zip) allows."""


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


def check_budget(path: object, field: str, needed: int, max_bytes: int) -> None:
    """Raise DataError if more than `max_bytes` are needed, before memory is allocated."""
    if needed > max_bytes:
        raise DataError(
            f"{path}: {field} would take {needed:,} bytes, more than the limit of {max_bytes:,}; "
            "use fewer or smaller examples, or raise max_bytes"
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
