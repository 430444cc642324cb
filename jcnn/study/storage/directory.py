"""The directory that a study keeps: its file, ledger, checkpoints, locks and results."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.study.storage.atomic_files import write_whole
from jcnn.study.storage.checkpoint import Checkpoints
from jcnn.study.storage.ledger import NAME, Ledger
from jcnn.study.storage.run_key import digest
from jcnn.study.toml import OBJECTS
from jcnn.version import __version__

_HIDDEN = ".unfinished"
ENVIRONMENT = "environment.json"


class Memory:
    """Where a study without a directory keeps its runs: nowhere but here."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._outcomes: dict[str, Outcome] = {}

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """Those of `keys` that are finished."""
        return {key: self._outcomes[key] for key in keys if key in self._outcomes}

    def add(self, finished: Sequence[tuple[str, Mapping[str, Any], Outcome]]) -> None:
        """Keep finished runs."""
        self._outcomes |= {key: outcome for key, _, outcome in finished}

    def claim(self, group: str, *, wait: bool) -> FileLock | None:
        """Nobody else can ask."""
        return FileLock(os.devnull)

    def checkpoints(self, keys: Sequence[str]) -> Checkpoints | None:
        """None are kept."""
        return None


class StudyDirectory:
    """`runs/<name>/`, created at once so that an unwritable place is known before training.

    Finished runs are in the ledger; `study.toml`, `environment.json` and `results.json` are of the
    study that was run last, and follow from the ledger.

    Raises UsageError where the directory is of another make, OSError where it cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(directory)
        if (self.path / "results.json").exists() and not (self.path / NAME).exists():
            raise UsageError(
                f"{self.path} holds results but no {NAME}; name another directory, or remove it"
            )
        made, missing = [], self.path
        while not missing.exists():
            made.append(missing)
            missing = missing.parent
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            self.ledger = Ledger(self.path)
        except OSError as error:
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
            raise OSError(
                f"cannot keep results in {self.path}: {error.strerror or error}; name another "
                "directory, or make room"
            ) from error
        self.notes = self.ledger.notes
        self.outcomes, self.add = self.ledger.outcomes, self.ledger.add

    def claim(self, group: str, *, wait: bool) -> FileLock | None:
        """A lock on a group of runs, or None where another process has it; it ends with ours."""
        directory = self.path / _HIDDEN
        directory.mkdir(exist_ok=True)
        lock = FileLock(directory / f"{group[:16]}.lock")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            return None
        return lock

    def checkpoints(self, keys: Sequence[str]) -> Checkpoints:
        """Where the group of exactly these runs leaves its snapshots."""
        return Checkpoints(self.path / _HIDDEN / digest(sorted(keys))[:16])

    def write_study(self, study: Mapping[str, Any], unreadable: Sequence[str] = ()) -> None:
        """The study file, which `jcnn compare` reads back, but for what it says it cannot."""
        note = f"{OBJECTS}{', '.join(unreadable)}\n" if unreadable else ""
        write_whole(self.path / "study.toml", note + tomli_w.dumps(dict(study)))

    def environment(self) -> dict[str, Any]:
        """What `write_environment` left; empty where it cannot be read."""
        return read_environment(self.path)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Versions, device, command and time."""
        write_whole(self.path / ENVIRONMENT, json.dumps(environment, indent=1))

    def write_results(self, text: str) -> None:
        """The answer: the same runs give the same bytes."""
        write_whole(self.path / "results.json", text)


def read_environment(directory: Path) -> dict[str, Any]:
    """The versions, device, command and times of a study; empty where they cannot be read."""
    try:
        found = json.loads((directory / ENVIRONMENT).read_bytes())
    except (OSError, ValueError):
        return {}
    # Lists are lists where they are there at all, and the rest is only shown.
    lists = isinstance(found, dict) and all(
        isinstance(found.get(name, []), list) for name in ("run_seconds", "notes")
    )
    return found if lists else {}


def environment() -> dict[str, Any]:
    """What the figures depend on beside the study: versions, device and command."""
    import jax

    devices = jax.local_devices()
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")
    return {
        "jcnn": __version__,
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
        "platform": platform.platform(),
        "device": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
