"""Study files: TOML with the fields of `Study`, unknown keys being errors."""

import tomllib
from pathlib import Path
from typing import Any

from jcnn import names

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
    "data_dir",
)


def read_study(path: str | Path) -> dict[str, Any]:
    """The keywords for `Study` that a study file gives.

    Raises ValueError naming the file and the key, with the nearest known keys.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a TOML file: {error}") from None
    for key in content:
        if key not in KEYS:
            raise ValueError(f"{path}: {names.nearest('key', key, KEYS)}")
    if not isinstance(content.get("factors", {}), dict):
        raise ValueError(f"{path}: factors must be a table, [factors]")
    for key in ("data", "model", "task", "data_dir"):
        if not isinstance(content.get(key, ""), str):
            raise ValueError(f"{path}: {key} must be a string")
    for key in ("validation_fraction", "gradient_clip", "label_smoothing"):
        if isinstance(content.get(key, 0), bool) or not isinstance(
            content.get(key, 0), (int, float)
        ):
            raise ValueError(f"{path}: {key} must be a number")
    if not isinstance(content.get("learning_rates", []), list):
        raise ValueError(f"{path}: learning_rates must be a list of numbers")
    return content
