"""Atomic file writes: whole or not at all, and on the disk when the call returns."""

import os
import tempfile
from pathlib import Path


class StorageError(OSError):
    """Raised when a study's directory cannot be read or written; stored runs are unaffected."""


def check_regular(path: Path) -> None:
    """Raise StorageError unless the path is free or a file: opening a pipe would wait forever."""
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is not a regular file; remove it")


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file. Raises OSError if it cannot be read or is not a regular file."""
    check_regular(path)
    return path.read_bytes()


def write_atomic(path: Path, text: str) -> None:
    """Write text as UTF-8; see `write_atomic_bytes`."""
    write_atomic_bytes(path, text.encode())


def write_atomic_bytes(path: Path, content: bytes) -> None:
    """Write a temporary file, sync it and rename it into place. Raises StorageError on failure."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {path}: {error.strerror}") from error
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Sync the entries of a directory to the disk, if the platform supports it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # Windows cannot open directories
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(path: Path) -> None:
    """Sync every file and directory below `path` to the disk."""
    for root, _, files in os.walk(path):
        for name in files:
            handle = os.open(Path(root, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_directory(Path(root))
