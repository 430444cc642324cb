"""The weights of a study's best network, kept in its directory."""

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jcnn.study.storage.atomic_files import write_atomic_bytes

# Beside the names of weights, which have no space.
_ABOUT = "about these weights"


def keep_weights(
    directory: Path,
    weights: Mapping[str, np.ndarray],
    test: Mapping[str, float],
    key: str,
    with_validation: bool = False,
) -> None:
    """Write the weights and test metrics of a run; `key` is the run's.

    Nothing is kept if the directory cannot be written: the network is not lost with it.
    """
    about = json.dumps({"key": key, "test": dict(test)})
    content = io.BytesIO()
    arrays: dict[str, Any] = {name: _plain(array) for name, array in weights.items()}
    np.savez(content, **arrays | {_ABOUT: np.array(about)})
    with contextlib.suppress(OSError):
        write_atomic_bytes(directory / _name(with_validation), content.getvalue())


def read_weights(
    directory: Path, key: str, with_validation: bool
) -> tuple[dict[str, np.ndarray], dict[str, float]] | None:
    """Return the weights and test metrics of a run, or None if those of another or none are kept.

    A file that cannot be read counts as none.
    """
    try:
        with (directory / _name(with_validation)).open("rb") as raw, np.load(raw) as file:
            about = json.loads(str(file[_ABOUT]))
            if about["key"] != key:
                return None
            return {name: file[name] for name in file.files if name != _ABOUT}, about["test"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _name(with_validation: bool) -> str:
    return "best_model_with_validation.npz" if with_validation else "best_model.npz"


def _plain(array: np.ndarray) -> np.ndarray:
    """The array in a dtype that NumPy's files have; bfloat16 fits into float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
