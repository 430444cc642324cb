"""The directory of a study: study file, ledger, checkpoints, locks and results."""

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

from jcnn.analysis.result import Result
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.study.storage.atomic_files import read_regular, write_atomic
from jcnn.study.storage.checkpoint import Checkpoints
from jcnn.study.storage.ledger import NAME, Ledger
from jcnn.study.storage.run_key import digest
from jcnn.study.toml import OBJECTS
from jcnn.version import __version__

_HIDDEN = ".unfinished"
ENVIRONMENT = "environment.json"


class Memory:
    """In-memory storage for a study without a directory."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._outcomes: dict[str, Outcome] = {}

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The outcomes of the finished runs among `keys`."""
        return {key: self._outcomes[key] for key in keys if key in self._outcomes}

    def add(self, finished: Sequence[tuple[str, Mapping[str, Any], Outcome]]) -> None:
        """Store finished runs."""
        self._outcomes |= {key: outcome for key, _, outcome in finished}

    def claim(self, group: str, *, wait: bool) -> FileLock | None:
        """Return a lock; no other process can compete for it."""
        return FileLock(os.devnull)

    def checkpoints(self, keys: Sequence[str]) -> Checkpoints | None:
        """Return None: no checkpoints are stored."""
        return None


class StudyDirectory:
    """A directory such as `runs/<name>/`, created at once so that errors show before training.

    Finished runs are in the ledger. `study.toml`, `environment.json` and `results.json` describe
    the study that was run last; `results.json` follows from the ledger.

    Raises UsageError if the directory belongs to something else, OSError if it cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.path = Path(directory)
        if (self.path / "results.json").exists() and not (self.path / NAME).exists():
            raise UsageError(
                f"{self.path} contains results but no {NAME}; choose another "
                "directory, or remove it"
            )
        created, missing = [], self.path
        while not missing.exists():
            created.append(missing)
            missing = missing.parent
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            self.ledger = Ledger(self.path)
        except OSError as error:
            for path in created:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
            raise OSError(
                f"cannot store results in {self.path}: {error.strerror or error}; choose another "
                "directory, or free space"
            ) from error
        self.notes = self.ledger.notes
        self.outcomes, self.add = self.ledger.outcomes, self.ledger.add

    def claim(self, group: str, *, wait: bool) -> FileLock | None:
        """Lock a group of runs; None if another process holds it. It is released if ours ends."""
        directory = self.path / _HIDDEN
        directory.mkdir(exist_ok=True)
        lock = FileLock(directory / f"{group[:16]}.lock")
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            return None
        return lock

    def checkpoints(self, keys: Sequence[str]) -> Checkpoints:
        """The checkpoints of the group of exactly these runs."""
        return Checkpoints(self.path / _HIDDEN / digest(sorted(keys))[:16])

    def write_study(self, study: Mapping[str, Any], unreadable: Sequence[str] = ()) -> None:
        """Write the study file; `jcnn compare` can read it unless it has `unreadable` parts."""
        note = f"{OBJECTS}{', '.join(unreadable)}\n" if unreadable else ""
        write_atomic(self.path / "study.toml", note + tomli_w.dumps(dict(study)))

    def environment(self) -> dict[str, Any]:
        """The content of `environment.json`; empty if it cannot be read."""
        return read_environment(self.path)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Write versions, device, command and times."""
        write_atomic(self.path / ENVIRONMENT, json.dumps(environment, indent=1))

    def write_result(self, result: Result) -> None:
        """Write `results.json`, which is the same for the same runs, and versions and times.

        If nothing was trained, the versions and times of the stored runs stay.
        """
        write_atomic(self.path / "results.json", result.to_json(provenance=False))
        trained = result.environment["runs_trained"]
        ran = result.environment if trained else self.environment() or result.environment
        seconds = [record.outcome.seconds for record in result.records]
        self.write_environment(ran | {"notes": list(result.notes), "run_seconds": seconds})


def read_environment(directory: Path) -> dict[str, Any]:
    """The versions, device, command and times of a study; empty if they cannot be read."""
    try:
        content = json.loads(read_regular(directory / ENVIRONMENT))
    except (OSError, ValueError):
        return {}
    # Only these two are read by code; everything else is just displayed.
    valid = isinstance(content, dict) and all(
        isinstance(content.get(name, []), list) for name in ("run_seconds", "notes")
    )
    return content if valid else {}


def environment() -> dict[str, Any]:
    """What the results depend on in addition to the study: versions, device and command."""
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
