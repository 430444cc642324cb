"""Study files: TOML with the fields of `Study`, unknown keys being errors."""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn import names
from jcnn.errors import UsageError, nearest
from jcnn.study import settings
from jcnn.study.factors import Level, levels

if TYPE_CHECKING:
    from jcnn.data import Dataset
    from jcnn.study.study import Study

# How a study file begins that cannot give all of its study back.
OBJECTS = "# Python objects, to be given again: "
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
    "diagnose",
    "data_dir",
)


def read_study(path: str | Path) -> dict[str, Any]:
    """The keywords for `Study` that a study file gives, which checks their values.

    Raises UsageError naming the file and the key, with the nearest known keys.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read the study file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    if text.startswith(OBJECTS):
        lacking = text.partition("\n")[0].removeprefix(OBJECTS)
        raise UsageError(
            f"{path} cannot hold the Python objects of its study ({lacking}): run it again from "
            "Python, or put names in their place and take the first line away"
        )
    return check_study(content, str(path))


def check_study(content: dict[str, Any], source: str) -> dict[str, Any]:
    """Keywords for `Study` as a file spells them, checked; `source` begins an error's line."""
    try:
        for key, value in content.items():
            if key not in KEYS:
                raise nearest("key", key, KEYS)
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


def described(study: "Study", dataset: "Dataset | None" = None) -> dict[str, Any]:
    """The study as its file has it: names and numbers alone."""
    named_data = isinstance(study.data, (str, os.PathLike))
    described = {
        "data": str(study.data) if named_data else dataset.name if dataset else "arrays",
        "model": names.name_of("model", study.model),
        "learning_rates": list(study.learning_rates),
        "seeds": study.seed_values
        if study.seed_values != list(range(len(study.seed_values)))
        else len(study.seed_values),
        "epochs": study.epochs,
        "batch_size": study.batch_size,
        "task": study.task,
        "validation_fraction": study.validation_fraction,
        "warmup_steps": study.warmup_steps,
        "gradient_clip": study.gradient_clip,
        "label_smoothing": study.label_smoothing,
        "extend_learning_rates": study.extend_learning_rates,
        "augmentation": None
        if study.augmentation is None
        else names.name_of("augmentation", study.augmentation),
        "dtype": study.dtype,
        "data_memory": study.data_memory,
        "diagnose": study.diagnose,
        "data_dir": study.data_dir,
        "factors": {
            factor: [level.in_file() for level in found] for factor, found in study.levels.items()
        },
    }
    return {key: value for key, value in described.items() if value is not None}


def unreadable(study: "Study") -> list[str]:
    """What a study file cannot give back, since it has no name: to be given again by hand."""
    found = [] if isinstance(study.data, (str, os.PathLike)) else ["data"]
    for kind, value in (("model", study.model), ("augmentation", study.augmentation)):
        if not isinstance(value, str) and not Level(names.name_of(kind, value), value).readable(
            kind
        ):
            found.append(kind)
    for factor, own in study.levels.items():
        found += [f"{factor}={level.name}" for level in own if not level.readable(factor)]
    return found
