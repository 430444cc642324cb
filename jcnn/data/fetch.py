"""Downloads into a cache: a file gets its name only after its size and SHA-256 are verified."""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jcnn.data.errors import DataError
from jcnn.interruption import on_interruption

_CHUNK = 2**18


@dataclass(frozen=True)
class RemoteFile:
    """A file of known content: its name, URL, size in bytes and SHA-256 (hexadecimal)."""

    name: str
    url: str
    size: int
    sha256: str


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/jcnn`, or `~/.cache/jcnn` if that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "jcnn"


def fetch(remote: RemoteFile, folder: Path, *, timeout: float = 30.0) -> Path:
    """Download a file into `folder`, unless it already exists, and return its path.

    The file appears under its name only once it is complete and its SHA-256 is correct; a failure
    leaves nothing behind. Raises DataError with the URL.
    """
    target = folder / remote.name
    if target.is_file():
        return target
    try:
        with urllib.request.urlopen(remote.url, timeout=timeout) as response:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(dir=folder)
            with temporary as scratch, on_interruption(temporary.cleanup):
                part = Path(scratch) / remote.name
                _write_checked(remote, response.read, part)
                os.replace(part, target)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{remote.url}: download into {folder} failed ({error})") from error
    return target


def _write_checked(remote: RemoteFile, read: Callable[[int], bytes], part: Path) -> None:
    seen, digest = 0, hashlib.sha256()
    with part.open("wb") as out:
        while seen <= remote.size and (chunk := read(_CHUNK)):
            seen += len(chunk)
            digest.update(chunk)
            out.write(chunk)
    if seen != remote.size or digest.hexdigest() != remote.sha256:
        raise DataError(
            f"{remote.url}: the download is not the published file (SHA-256 or size differ); try "
            "again later, or download it by hand from another mirror"
        )
