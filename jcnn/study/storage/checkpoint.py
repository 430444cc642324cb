"""Checkpoints of a running group: two generations with hashes; the newest valid one is used."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from jcnn.engine import Snapshot
from jcnn.study.storage.atomic_files import (
    read_regular,
    sync_directory,
    sync_tree,
    write_atomic,
)
from jcnn.study.storage.run_key import digest

GENERATIONS = 2
_MANIFEST = "manifest.json"


class Checkpoints:
    """The snapshots of one group of runs, written by Orbax into the group's own directory.

    A snapshot is written to a temporary directory, synced and renamed; then the manifest that lists
    it with its SHA-256 is written, and snapshots beyond `GENERATIONS` are deleted. A process may
    therefore be killed at any point, and files may be damaged: `newest` returns the newest snapshot
    whose hash matches, or None.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory

    def newest(self) -> Snapshot | None:
        """The newest snapshot whose hash matches; None if there is none."""
        for name, expected, place in self._generations():
            path = self.path / name
            if path.is_dir() and _hash_tree(path) == expected:
                return Snapshot(_read(path, place["arrays"]), place)
        return None

    def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot. Raises OSError on failure; earlier snapshots stay."""
        kept = [entry for entry in self._generations() if (self.path / entry[0]).is_dir()]
        number = max([0, *(int(name) for name, _, _ in kept)]) + 1
        temporary, name = self.path / "temporary", f"{number:06d}"
        self.path.mkdir(parents=True, exist_ok=True)
        for left in (*self.path.glob("temporary*"), self.path / name):
            shutil.rmtree(left, ignore_errors=True)
        _write(temporary, snapshot.arrays)
        sync_tree(temporary)
        place = snapshot.place | {"arrays": len(snapshot.arrays)}
        entry = (name, _hash_tree(temporary), place)
        temporary.rename(self.path / name)
        sync_directory(self.path)
        self._write_manifest([entry, *kept[: GENERATIONS - 1]])

    def remove(self) -> None:
        """Delete all snapshots, because the group has finished."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write_manifest(self, generations: list[tuple[str, str, dict[str, Any]]]) -> None:
        content = {"generations": generations, "digest": digest(generations)}
        write_atomic(self.path / _MANIFEST, json.dumps(content))
        listed = {name for name, _, _ in generations}
        for path in self.path.iterdir():
            if path.is_dir() and path.name not in listed:
                shutil.rmtree(path, ignore_errors=True)

    def _generations(self) -> list[tuple[str, str, dict[str, Any]]]:
        try:
            content = json.loads(read_regular(self.path / _MANIFEST))
            if digest(content["generations"]) != content["digest"]:
                return []
            return [(name, check, place) for name, check, place in content["generations"]]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def _write(path: Path, arrays: list[np.ndarray]) -> None:
    from orbax.checkpoint import PyTreeCheckpointer

    PyTreeCheckpointer().save(path.absolute(), dict(zip(_names(len(arrays)), arrays, strict=True)))


def _read(path: Path, count: int) -> list[np.ndarray]:
    from orbax.checkpoint import PyTreeCheckpointer

    arrays = PyTreeCheckpointer().restore(path.absolute())
    return [np.asarray(arrays[name]) for name in _names(count)]


def _names(count: int) -> list[str]:
    return [f"{i:05d}" for i in range(count)]


def _hash_tree(path: Path) -> str:
    """The SHA-256 of all files below a directory, with their names."""
    result = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            result.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size} ".encode())
            result.update(file.read_bytes())
    return result.hexdigest()
