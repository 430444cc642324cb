"""Study files: TOML with the fields of `Study`, unknown keys being errors."""

import tomllib
from pathlib import Path
from typing import Any

from jcnn import names
from jcnn.names import UsageError
from jcnn.study import settings
from jcnn.study.plan import levels

KEYS = (
    "data",
    "model",
    "factors",
    "learning_rates",
    "seeds",
    "epochs",
    "batch_size",
    "task",
    "validation_fraction",
    "warmup_steps",
    "gradient_clip",
    "label_smoothing",
    "extend_learning_rates",
    "augmentation",
    "dtype",
    "data_memory",
    "data_dir",
)


def read_study(path: str | Path) -> dict[str, Any]:
    """The keywords for `Study` that a study file gives, which checks their values.

    Raises UsageError naming the file and the key, with the nearest known keys.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the study file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    return check_study(content, str(path))


def check_study(content: dict[str, Any], source: str) -> dict[str, Any]:
    """Keywords for `Study` as a file spells them, checked; `source` begins an error's line."""
    try:
        for key, value in content.items():
            if key not in KEYS:
                raise names.nearest("key", key, KEYS)
            if key in settings.CHECKS:
                content[key] = settings.CHECKS[key](value)
        for key in ("data", "model", "augmentation"):
            if not isinstance(content.get(key, ""), str):
                raise UsageError(f"{key} must be a string")
        if not isinstance(content.get("factors", {}), dict):
            raise UsageError("factors must be a table, [factors]")
        settings.seed_values(content.get("seeds", 1))
        for factor, values in content.get("factors", {}).items():
            levels(factor, values)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    return content
