"""A study's result read back from the directory that it left, without data or training."""

import json
import math
import tomllib
from pathlib import Path
from typing import Any

from jcnn.analysis.result import Result, RunRecord
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.study.storage.directory import ENVIRONMENT, read_environment
from jcnn.study.storage.ledger import NAME, Ledger


def read_result(directory: Path) -> Result:
    """The result of the study that was finished last in a directory.

    Raises UsageError where there is none, with what to do, or where its files are damaged.
    """
    path = directory / "results.json"
    if not path.exists():
        if not (directory / NAME).exists():
            raise UsageError(f"{directory} holds no study; see `jcnn runs list`")
        kept = len(Ledger(directory, read_only=True).runs())
        raise UsageError(
            f"the study in {directory} is not finished: {kept} runs are kept; go on with "
            f"`jcnn compare {directory}`"
        )
    content, environment = _json(path), read_environment(directory)
    try:
        return _result(content, environment)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path} is damaged ({type(error).__name__}: {error}); write it anew with "
            f"`jcnn compare {directory}`, which trains nothing that is in the ledger"
        ) from error


def summary(directory: Path) -> dict[str, Any]:
    """What a directory holds, as far as it can be read: study, runs, their state, and the best.

    `runs` are those of the study that was finished last, or, while none is, all in the ledger.
    """
    found: dict[str, Any] = {"directory": str(directory)}
    try:
        found["study"] = tomllib.loads((directory / "study.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found["study"] = {}
    try:
        found["runs"] = len(Ledger(directory, read_only=True).runs())
    except OSError:
        return found | {"runs": 0, "state": "damaged"}
    if not (directory / "results.json").exists():
        return found | {"state": "not finished"}
    try:
        result = read_result(directory)
        row = result.ranking()[0]
    except (UsageError, IndexError):
        return found | {"state": "damaged"}
    found |= {"runs": len(result.records), "state": "finished"}
    return found | {
        "best": dict(row.levels),
        "mean": row.mean,
        "shown": result.measure.show(row.mean),
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error


def _result(content: Any, environment: dict[str, Any]) -> Result:
    combinations = [dict(levels) for levels in content["combinations"]]
    failures = {
        combinations.index(one["levels"]): str(one["reason"]) for one in content["failures"]
    }
    seconds, notes = environment.pop("run_seconds", []), environment.pop("notes", None)
    known = [isinstance(one, (int, float)) for one in seconds]
    if len(known) != len(content["runs"]) or not all(known):
        seconds = [math.nan] * len(content["runs"])
    if not isinstance(notes, list):
        notes = [f"{ENVIRONMENT} cannot be read: no versions, no times"]
    records = [
        RunRecord(
            range(len(combinations))[run["combination"]],
            float(run["learning_rate"]),
            int(run["seed"]),
            _outcome(run["outcome"], float(taken)),
        )
        for run, taken in zip(content["runs"], seconds, strict=True)
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
    )


def _outcome(told: dict[str, Any], seconds: float) -> Outcome:
    def number(value: Any) -> float:
        return math.nan if value is None else float(value)

    return Outcome(
        {name: [number(value) for value in curve] for name, curve in told["curves"].items()},
        {name: number(value) for name, value in told["test"].items()},
        None if told["diverged_at"] is None else int(told["diverged_at"]),
        int(told["steps"]),
        {
            name: value
            if name in ("layers", "activations", "steps")
            else [[number(one) for one in row] for row in value]
            for name, value in told.get("followed", {}).items()
        },
        seconds,
    )
