"""Images in a tar archive, read without writing anything to disk."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from jcnn.data.dataset import Dataset
from jcnn.data.errors import DataError
from jcnn.data.image_file import MOST_FILE_BYTES, SUFFIXES
from jcnn.data.images import dataset_of_images
from jcnn.data.reading import check_budget, check_expansion, check_file, reading
from jcnn.data.resize import ResizeTo

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
"""The suffixes of readable archives, in lower case."""

_OPENERS: dict[bytes, Callable[[Path, Literal["rb"]], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
# A member's header may be several in a row; tarfile keeps each of them about four times.
_LONGEST_HEADERS = 2**21
_LONGEST_NAME = 4096
_LONGEST_SHOWN = 80
_CHUNK = 2**18


def load_image_archive(
    path: str | os.PathLike[str],
    *,
    resize: ResizeTo | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Read a Dataset from a tar archive of images in folders, laid out as in `load_image_folder`.

    Plain, gzip, xz and bzip2 archives are distinguished by content and read once from front to
    back. A single folder that contains everything is entered. The order of the files in the archive
    does not matter. Links and special files that are not called like images are skipped.

    Raises DataError, with the archive and the first offending file, for an image that is a link or
    whose path leads out of the archive, for more than `max_bytes` of files or of images, and for a
    damaged archive. Without `max_bytes`, files and images may take 8 GiB and 500 times the bytes of
    the archive.

    >>> import io, tarfile, tempfile
    >>> from PIL import Image
    >>> from jcnn.data import load_image_archive
    >>> picture = io.BytesIO()
    >>> Image.new("RGB", (8, 8)).save(picture, "PNG")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with tarfile.open(f"{folder}/pets.tar.gz", "w:gz") as archive:
    ...         for i in range(20):
    ...             info = tarfile.TarInfo(f"{('cat', 'dog')[i % 2]}/{i}.png")
    ...             info.size = len(picture.getvalue())
    ...             archive.addfile(info, io.BytesIO(picture.getvalue()))
    ...     pets = load_image_archive(f"{folder}/pets.tar.gz")
    >>> pets.name, pets.classes, pets.input_shape
    ('pets', ('cat', 'dog'), (8, 8, 3))
    """
    path = Path(path)
    name = archive_stem(path) or path.name
    root = open_archive(path, max_bytes=max_bytes)
    held = path.stat().st_size
    return dataset_of_images(
        root,
        name=name,
        source=str(path),
        max_bytes=max_bytes,
        seed=seed,
        held=held,
        resize=resize,
    )


def archive_stem(path: Path) -> str | None:
    """Return a file's name without its archive suffix, or None if it has none."""
    ending = next((end for end in ENDINGS if path.name.lower().endswith(end)), None)
    return None if ending is None else path.name[: -len(ending)]


@dataclass(frozen=True, eq=False)
class Member:
    """An image (bytes) or a folder (members by name) in an archive: a `jcnn.data.items.Item`."""

    where: str
    content: "dict[str, Member] | bytes"

    def __str__(self) -> str:
        """The path of the archive, followed by that of the member."""
        return self.where

    @property
    def name(self) -> str:
        """The last part of its path."""
        return os.path.basename(self.where)

    @property
    def suffix(self) -> str:
        """The end of its name, from the last dot on."""
        return os.path.splitext(self.where)[1]

    def is_dir(self) -> bool:
        """Return whether it is a folder."""
        return isinstance(self.content, dict)

    def stat(self) -> os.stat_result:
        """Return its kind and its size."""
        if isinstance(self.content, dict):
            return os.stat_result((stat.S_IFDIR, *[0] * 9))
        return os.stat_result((stat.S_IFREG, *[0] * 5, len(self.content), *[0] * 3))

    def iterdir(self) -> Iterable["Member"]:
        """Return the members of a folder, in no particular order."""
        return self.folder().values()

    def __truediv__(self, name: str, /) -> "Member":
        """Return the member of a folder by name; a missing member is an empty file."""
        return self.folder().get(name) or Member(f"{self.where}/{name}", b"")

    def open(self, mode: Literal["rb"], /) -> io.BytesIO:
        """Open an image to read its bytes."""
        if isinstance(self.content, dict):
            raise IsADirectoryError(f"{self} is a folder")
        return io.BytesIO(self.content)

    def folder(self) -> "dict[str, Member]":
        """Return the members of a folder by name."""
        if isinstance(self.content, bytes):
            raise DataError(f"{self}: both a file and a folder; write the archive again")
        return self.content


def open_archive(path: Path, *, max_bytes: int | None = None) -> Member:
    """Return the root folder of an archive, or the single folder that contains everything."""
    root = Member(str(path), {})
    strays: list[list[str]] = []
    held = check_file(path, "tar archive")
    with reading(path, "tar archive"), _decompressed(path) as raw:
        stream = _Forward(path, raw, held, max_bytes)
        with tarfile.TarFile(fileobj=cast(BinaryIO, stream), encoding="utf-8") as archive:
            while (info := archive.next()) is not None:
                # tarfile would keep every header it has seen.
                archive.members.clear()  # type: ignore[attr-defined]
                _add(root, stream, info, strays)
                stream.next_member()
        stream.finish()
    for parts in strays:
        _put_stray(root, parts)
    while not (root / "train").is_dir() and len(root.folder()) == 1:
        (only,) = root.folder().values()
        if not only.is_dir():
            break
        root = only
    return root


def _decompressed(path: Path) -> io.BufferedIOBase:
    with path.open("rb") as raw:
        head = raw.read(6)
    opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), None)
    return path.open("rb") if opener is None else opener(path, "rb")


class _Forward:
    """The stream that tarfile reads: forward only, with limits on every read.

    An archive of a few kilobytes can declare, and decompress to, any size; a negative size would
    make tarfile seek back and loop forever.
    """

    def __init__(
        self, path: Path, raw: io.BufferedIOBase, held: int, max_bytes: int | None
    ) -> None:
        self._path, self._raw, self._held, self._max_bytes = path, raw, held, max_bytes
        self._position = self._headers = 0
        self._last = b""

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise DataError(f"{self._path}: archive refers back into itself; write it again")
        self._check(position)
        if position > self._position:
            self._position = self._raw.seek(position)

    def read(self, size: int) -> bytes:
        self._headers += size
        if not 0 <= size <= self._headers <= _LONGEST_HEADERS:
            raise DataError(
                f"{self._path}: a header in the archive declares {size:,} bytes, expected 0 to "
                f"{_LONGEST_HEADERS:,} in all headers of a file; write it again"
            )
        return self.read_file(size)

    def next_member(self) -> None:
        """Count the bytes of headers from here."""
        self._headers = 0

    def read_file(self, size: int) -> bytes:
        """Read the content of a file, whose size has been checked."""
        self._last = self._raw.read(size)
        self._position += len(self._last)
        self._check(self._position)
        return self._last

    def _check(self, position: int) -> None:
        field = "files in the archive"
        check_budget(self._path, field, position, self._max_bytes)
        check_expansion(self._path, field, position, self._held, self._max_bytes)

    def finish(self) -> None:
        """Read to the end: this verifies the checksum, and tarfile stops at a torn header."""
        if len(self._last) < tarfile.BLOCKSIZE or any(self._last):
            raise DataError(
                f"{self._path}: archive is truncated or damaged after {self._position:,} bytes; "
                "download or write it again"
            )
        while rest := self.read_file(_CHUNK):
            if any(rest):
                raise DataError(
                    f"{self._path}: archive continues after its end; write a single archive"
                )


def _add(root: Member, stream: _Forward, info: tarfile.TarInfo, strays: list[list[str]]) -> None:
    """Add an image or a folder, or another file's path to `strays`; refuse links, unsafe paths."""
    parts = [part for part in info.name.split("/") if part not in ("", ".")]
    if any(part.startswith(".") and part != ".." for part in parts):
        return
    problem = _problem(parts, info)
    if not info.isdir() and os.path.splitext(info.name)[1].lower() not in SUFFIXES:
        if problem is None:
            strays.append(parts)
        return
    if problem:
        shown = ascii(info.name[:_LONGEST_SHOWN])
        raise DataError(
            f"{root}: {shown} {problem}; write the archive again from folders of plain image files"
        )
    _put(root, parts, stream, info)


def _problem(parts: list[str], info: tarfile.TarInfo) -> str | None:
    if info.name.startswith("/") or ".." in parts:
        return "is a path that leads out of the archive"
    if len(info.name) > _LONGEST_NAME or not info.name.isprintable():
        return "is a path too long or not printable"
    if not info.isdir() and (not info.isreg() or info.issparse()):
        return "is a link or another special file"
    if info.size < 0:
        return f"declares {info.size} bytes"
    if info.size > MOST_FILE_BYTES:
        return f"has {info.size:,} bytes, expected an image of at most {MOST_FILE_BYTES:,}"
    return None


def _put_stray(root: Member, parts: list[str]) -> None:
    """Add an empty file, to be counted, if there is a folder for it that holds more than this."""
    folder = root
    for part in parts[:-1]:
        next_folder = folder.folder().get(part)
        if next_folder is None or not next_folder.is_dir():
            return
        folder = next_folder
    if folder is not root:
        folder.folder().setdefault(parts[-1], Member(f"{folder}/{parts[-1]}", b""))


def _put(root: Member, parts: list[str], stream: _Forward, info: tarfile.TarInfo) -> None:
    folder = root
    for part in parts if info.isdir() else parts[:-1]:
        members = folder.folder()
        if part not in members:
            members[part] = Member(f"{folder}/{part}", {})
        folder = members[part]
    if info.isdir():
        return
    members, name = folder.folder(), parts[-1]
    if name in members:
        raise DataError(f"{members[name]}: appears twice in the archive; write the archive again")
    stream.seek(info.offset_data)
    content = stream.read_file(info.size)
    if len(content) < info.size:
        raise DataError(f"{folder}/{name}: truncated; download or write the archive again")
    members[name] = Member(f"{folder}/{name}", content)
