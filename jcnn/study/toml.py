"""Study files: TOML with the fields of `Study`; unknown keys are errors."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from jcnn import names
from jcnn.data import Dataset
from jcnn.errors import UsageError, nearest
from jcnn.study import settings
from jcnn.study.factors import Level, chosen_points, levels
from jcnn.study.plan import Plan
from jcnn.training import TaskMetric

# The first line of a study file that cannot restore all of its study.
OBJECTS = "# Python objects, to be given again: "
KEYS = tuple(field.name for field in fields(Plan))


def read_study(path: str | Path) -> dict[str, Any]:
    """The keyword arguments for `Study` in a study file, checked.

    Raises UsageError that names the file and the key, with the nearest known keys.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read the study file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    if text.startswith(OBJECTS):
        missing = text.partition("\n")[0].removeprefix(OBJECTS)
        raise UsageError(
            f"{path} cannot store the Python objects of its study ({missing}): run it again from "
            "Python, or replace them by names and remove the first line"
        )
    return check_study(content, str(path))


def check_study(content: dict[str, Any], source: str) -> dict[str, Any]:
    """Check keyword arguments for `Study` as a file spells them; errors begin with `source`."""
    try:
        for key, value in content.items():
            if key not in KEYS:
                raise nearest("key", key, KEYS)
            if key in settings.CHECKS:
                content[key] = settings.CHECKS[key](value)
        for key in ("data", "model", "augmentation", "call", "loss", "warm_start"):
            if not isinstance(content.get(key, ""), str):
                raise UsageError(f"{key} must be a string")
        if not isinstance(content.get("factors", {}), dict):
            raise UsageError("factors must be a table, [factors]")
        settings.seed_values(content.get("seeds", 1))
        settings.output(content.get("output"))
        settings.metrics(content.get("metrics"))
        for factor, values in content.get("factors", {}).items():
            levels(factor, values)
        if "points" in content:
            chosen_points(content["points"])
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    return content


def describe(plan: Plan, dataset: Dataset | None = None) -> dict[str, Any]:
    """A study as its file holds it: names and numbers only; settings that are None are left out."""
    seeds, count = plan.seed_values, len(plan.seed_values)
    data = str(plan.data) if plan.named_data else dataset.name if dataset else "arrays"
    content = {key: getattr(plan, key) for key in KEYS if key != "factors"}
    content |= {
        "data": data,
        "model": names.name_of("model", plan.model),
        "learning_rates": list(plan.learning_rates),
        "seeds": count if seeds == list(range(count)) else seeds,
    }
    for kind in ("augmentation", "call", "output", "loss", "warm_start"):
        if (value := getattr(plan, kind)) is not None:
            content[kind] = names.name_of(kind, value)
    content["metrics"] = {
        name: names.name_of("metrics", value.values if isinstance(value, TaskMetric) else value)
        for name, value in plan.own_metrics.items()
    } or None
    if plan.points is None:
        content["factors"] = {
            factor: [level.in_file() for level in values] for factor, values in plan.levels.items()
        }
    else:
        content["points"] = [
            {factor: level.in_file() for factor, level in combination.levels}
            for combination in plan.combinations
        ]
    return {key: value for key, value in content.items() if value is not None}


def unreadable(plan: Plan) -> list[str]:
    """The parts that a study file cannot restore: Python objects without a name."""
    parts = [] if plan.named_data else ["data"]
    objects = [(kind, getattr(plan, kind)) for kind in ("model", "augmentation", "call", "output")]
    objects += [("loss", plan.loss), ("warm_start", plan.warm_start)]
    objects += [*(("metrics", value) for value in plan.own_metrics.values())]
    for kind, value in objects:
        if value is None or isinstance(value, (str, int)):
            continue
        if not Level(names.name_of(kind, value), value).readable(kind):
            parts.append(kind)
    for factor, values in plan.levels.items():
        parts += [f"{factor}={level.name}" for level in values if not level.readable(factor)]
    return parts
