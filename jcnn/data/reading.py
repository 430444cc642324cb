"""What every reader of files shares: one kind of failure, and no memory taken on trust."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from jcnn.data.errors import DataError

MAX_BYTES = 8 * 2**30
"""How many bytes of arrays a reader takes unless told otherwise: 8 GiB."""

DEFLATE_LIMIT = 1032
"""The largest expansion that deflate (gzip, zip) can reach, from the format itself."""


@contextmanager
def reading(path: object, what: str) -> Iterator[None]:
    """Turn whatever a parser raises on a file into one DataError that names the file.

    `path` is any object that prints as what the user should look at.
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such {what}; check the path") from error
    except Exception as error:
        # The parsers behind this (zipfile, zlib, numpy's headers, Pillow's plugins) document no
        # closed set of exceptions for hostile bytes, so any of them means "this file is bad".
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(
            f"{path}: not a readable {what} ({reason}); fetch or write the file again"
        ) from error


@contextmanager
def blaming(path: object) -> Iterator[None]:
    """Put the file's name before what is wrong with the arrays that came from it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def check_budget(path: object, field: str, needed: int, max_bytes: int) -> None:
    """Refuse what would not fit, before any memory is taken."""
    if needed > max_bytes:
        raise DataError(
            f"{path}: {field} would take {needed:,} bytes, more than the limit of {max_bytes:,}; "
            "use fewer or smaller examples, or raise max_bytes"
        )


def fill(stream: io.BufferedIOBase, array: np.ndarray) -> int:
    """Read into a contiguous array; the number of bytes that came, which may be too few."""
    view = memoryview(array.reshape(-1).view(np.uint8))
    filled = 0
    while filled < len(view):
        count = stream.readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled
