"""Load a study's result from its directory, without data or training."""

import json
import math
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jcnn.analysis.result import Result, RunRecord
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.export import TrainedModel
from jcnn.study.best_model import best_model
from jcnn.study.plan import Plan
from jcnn.study.storage.atomic_files import read_regular
from jcnn.study.storage.directory import ENVIRONMENT, read_environment
from jcnn.study.storage.ledger import NAME, Ledger
from jcnn.study.toml import read_study


def read_result(directory: Path) -> Result:
    """Read the result of the study that finished last in a directory.

    Raises UsageError if there is none or if its files are damaged, with what to do.
    """
    path = directory / "results.json"
    if not path.exists():
        if not (directory / NAME).exists():
            raise UsageError(f"{directory} contains no study; see `jcnn runs list`")
        kept = len(Ledger(directory, read_only=True).runs())
        raise UsageError(
            f"the study in {directory} is not finished: {kept} runs are stored; resume it with "
            f"`jcnn compare {directory}`"
        )
    content, environment = _json(path), read_environment(directory)
    try:
        result = _result(content, environment)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is damaged ({type(error).__name__}: {error}); write it again with "
            f"`jcnn compare {directory}`, which does not repeat stored runs"
        ) from error
    return replace(result, trainer=partial(_best_model, directory))


def _best_model(directory: Path, result: Result, **options: Any) -> TrainedModel:
    """Train the best combination of a stored study once more, or load its weights."""
    path = directory / "study.toml"
    described = read_study(path)
    if tomllib.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(result.study)):
        raise UsageError(
            f"{path} is of another study than the one that finished here; finish it first with "
            f"`jcnn compare {directory}`"
        )
    study = Plan(**described)
    return best_model(study, result, directory=directory, **options)


def summary(directory: Path) -> dict[str, Any]:
    """A summary of a directory, as far as it can be read: study, runs, state, and the best.

    `runs` counts the runs of the study that finished last, or all runs in the ledger if none has.
    """
    content: dict[str, Any] = {"directory": str(directory)}
    try:
        content["study"] = tomllib.loads(read_regular(directory / "study.toml").decode())
    except (OSError, ValueError):
        content["study"] = {}
    try:
        content["runs"] = len(Ledger(directory, read_only=True).runs())
    except OSError:
        return content | {"runs": 0, "state": "damaged"}
    if not (directory / "results.json").exists():
        return content | {"state": "not finished"}
    try:
        result = read_result(directory)
        row = result.answer.rows[0]
    except (UsageError, IndexError):
        return content | {"state": "damaged"}
    content |= {"runs": len(result.records), "state": "finished"}
    return content | {
        "best": dict(row.levels),
        "mean": row.mean,
        "shown": result.metric.show(row.mean),
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(read_regular(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _result(content: Any, environment: dict[str, Any]) -> Result:
    combinations = [dict(levels) for levels in content["combinations"]]
    failures = {
        combinations.index(failure["levels"]): str(failure["reason"])
        for failure in content["failures"]
    }
    seconds, notes = environment.pop("run_seconds", []), environment.pop("notes", None)
    numbers = [isinstance(value, (int, float)) for value in seconds]
    if len(numbers) != len(content["runs"]) or not all(numbers):
        seconds = [math.nan] * len(content["runs"])
    if not isinstance(notes, list):
        notes = [f"{ENVIRONMENT} cannot be read: no versions, no times"]
    records = [
        RunRecord(
            range(len(combinations))[run["combination"]],
            float(run["learning_rate"]),
            int(run["seed"]),
            replace(Outcome.from_dict(run["outcome"]), seconds=float(duration)),
        )
        for run, duration in zip(content["runs"], seconds, strict=True)
    ]
    return Result(
        content["study"],
        str(content["metric"]),
        bool(content["higher_is_better"]),
        combinations,
        records,
        environment,
        [str(note) for note in notes],
        failures,
        int(content["test_examples"]),
        metrics={str(name): bool(up) for name, up in content.get("metrics", {}).items()},
        stopped_rates=[
            (int(index), float(rate)) for index, rate in content.get("stopped_rates", [])
        ],
        costs={
            name: [math.nan if value is None else float(value) for value in values]
            for name, values in content.get("costs", {}).items()
        },
    )
