"""The directory a study leaves; every file is written whole or not at all."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w

from jcnn.names import UsageError
from jcnn.version import __version__


class Output:
    """`runs/<name>/`, created at once so that an unwritable place is known before training."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Create the directory; ValueError where it holds a study, OSError where it cannot."""
        self.path = Path(directory)
        if (self.path / "results.json").exists() or (self.path / "study.toml").exists():
            raise UsageError(
                f"{self.path} holds a study already; name another directory, or remove this one"
            )
        self._made = []
        missing = self.path
        while not missing.exists():
            self._made.append(missing)
            missing = missing.parent
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            self.discard()
            raise OSError(
                f"cannot leave results in {self.path}: {error.strerror}; name another directory"
            ) from error

    def write(self, name: str, text: str) -> None:
        """Write a file aside, sync and rename it."""
        handle, aside = tempfile.mkstemp(dir=self.path, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(aside, 0o644)
            os.replace(aside, self.path / name)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise

    def write_study(self, study: Mapping[str, Any], unreadable: Sequence[str] = ()) -> None:
        """The study file, which `jcnn compare` reads back, but for what it says it cannot."""
        note = f"# Python objects, to be given again: {', '.join(unreadable)}\n"
        self.write("study.toml", (note if unreadable else "") + tomli_w.dumps(study))

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Versions, device and command."""
        self.write("environment.json", json.dumps(environment, indent=1))

    def discard(self) -> None:
        """Remove what was written, and the directories made for it: nothing was finished."""
        for name in ("study.toml", "environment.json", "results.json"):
            (self.path / name).unlink(missing_ok=True)
        for directory in self._made:
            try:
                directory.rmdir()
            except OSError:
                return


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
