"""Checkpoints of a group under way: two generations, each hashed, the newest that verifies used."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from jcnn.engine import Snapshot
from jcnn.study.storage.atomic_files import sync_directory, sync_tree, write_whole
from jcnn.study.storage.run_key import digest

GENERATIONS = 2
_MANIFEST = "manifest.json"


class Checkpoints:
    """The snapshots of one group of runs, in a directory of its own, by Orbax.

    A snapshot is written aside, synced and renamed; then the manifest that names it with its
    SHA-256 is, and then what is older than `GENERATIONS` goes. So a process may die anywhere in
    between, and bytes may rot: `newest` gives the newest snapshot that verifies, or None.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory

    def newest(self) -> Snapshot | None:
        """The newest snapshot whose bytes are those that were written."""
        for name, expected, place in self._generations():
            path = self.path / name
            if path.is_dir() and _of_tree(path) == expected:
                return Snapshot(_read(path, place["arrays"]), place)
        return None

    def keep(self, snapshot: Snapshot) -> None:
        """Write a snapshot. Raises OSError where that fails; what was kept before stays."""
        kept = [one for one in self._generations() if (self.path / one[0]).is_dir()]
        number = max([0, *(int(name) for name, _, _ in kept)]) + 1
        aside, name = self.path / "aside", f"{number:06d}"
        self.path.mkdir(parents=True, exist_ok=True)
        for left in (*self.path.glob("aside*"), self.path / name):
            shutil.rmtree(left, ignore_errors=True)
        _write(aside, snapshot.arrays)
        sync_tree(aside)
        place = snapshot.place | {"arrays": len(snapshot.arrays)}
        entry = (name, _of_tree(aside), place)
        aside.rename(self.path / name)
        sync_directory(self.path)
        self._list([entry, *kept[: GENERATIONS - 1]])

    def remove(self) -> None:
        """Forget them all: the group has finished."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _list(self, generations: list[tuple[str, str, dict[str, Any]]]) -> None:
        content = {"generations": generations, "digest": digest(generations)}
        write_whole(self.path / _MANIFEST, json.dumps(content))
        listed = {name for name, _, _ in generations}
        for path in self.path.iterdir():
            if path.is_dir() and path.name not in listed:
                shutil.rmtree(path, ignore_errors=True)

    def _generations(self) -> list[tuple[str, str, dict[str, Any]]]:
        try:
            content = json.loads((self.path / _MANIFEST).read_bytes())
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

    found = PyTreeCheckpointer().restore(path.absolute())
    return [np.asarray(found[name]) for name in _names(count)]


def _names(count: int) -> list[str]:
    return [f"{i:05d}" for i in range(count)]


def _of_tree(path: Path) -> str:
    """The SHA-256 of all files under a directory, with their names."""
    found = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            found.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size} ".encode())
            found.update(file.read_bytes())
    return found.hexdigest()
