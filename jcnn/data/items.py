"""Files and folders that images are read from, and what all of them must be."""

import io
import os
import stat
from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

from jcnn.data.errors import DataError


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

    def stat(self) -> os.stat_result:
        """Return its kind and its size."""

    def iterdir(self) -> Iterable["Item"]:
        """Return the items in a folder."""

    def __truediv__(self, name: str, /) -> "Item":
        """Return the item in a folder by name."""

    def open(self, mode: Literal["rb"], /) -> io.BytesIO | io.BufferedReader:
        """Open a file to read its bytes."""


def visible(folder: Item) -> list[Item]:
    """Return the items in a folder whose names do not start with a dot, sorted by name."""
    items = [item for item in folder.iterdir() if not item.name.startswith(".")]
    return sorted(items, key=lambda item: item.name)


def check_name(item: Item, place: object) -> None:
    """Raise DataError if the item's name, in `place`, cannot be written as one line of UTF-8."""
    check_text(item.name, place)


def check_text(name: str, place: object) -> None:
    """Raise DataError if `name`, in `place`, cannot be written as one line of UTF-8."""
    is_utf8 = not any("\ud800" <= character <= "\udfff" for character in name)
    if is_utf8 and not any(character < " " or character == "\x7f" for character in name):
        return
    fault = "contains control characters" if is_utf8 else "is not UTF-8"
    raise DataError(f"{place}: the name {name!a} {fault}; rename it")


def regular_size(item: Item) -> int | None:
    """Return the size of a file, or None for a folder.

    Raises DataError for anything else: reading from a pipe, a socket or a device may wait forever.
    """
    try:
        status = item.stat()
    except FileNotFoundError as error:
        raise DataError(f"{item}: a link to nothing; remove it or restore the file") from error
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{item}: a pipe, a socket or a device, expected a regular file; remove it")
    return status.st_size
