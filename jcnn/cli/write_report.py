"""The report of a study: its file, and what it shows of the best network."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jcnn.study import Result, Study
    from jcnn.study.inspect_model import ModelInspection

NAME = "report.html"


def update_report(study: "Study", result: "Result", directory: Path) -> Path:
    """Write the report of a study that has just run, unless there is one of the same result."""
    from jcnn.report import shows, write_report

    path = directory / NAME
    if not shows(path, result, pictures=True):
        write_report(result, path, inspect_best(study, result, directory))
    return path


def inspect_best(
    study: "Study | None", result: "Result", directory: Path
) -> "ModelInspection | None":
    """Inspect the best network for a report, and keep its weights; on an error, print it."""
    from jcnn.study import inspect_model

    if study is None:
        return None
    try:
        return inspect_model(study, result, directory)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        print(f"jcnn: the report has no pictures of the network: {reason}", file=sys.stderr)
        return None


def report_html(directory: Path) -> str:
    """Return the report in a study's directory, or else a new one without pictures."""
    from jcnn.report import render, shows
    from jcnn.study.storage.load import read_result

    result, path = read_result(directory), directory / NAME
    return path.read_text(encoding="utf-8") if shows(path, result) else render(result)
