"""The progress of a running study."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jcnn.analysis.labels import short_label
from jcnn.analysis.result import Result
from jcnn.study.job import Job
from jcnn.study.trials import Trials


class GroupProgress(NamedTuple):
    """The progress of one group: `done` of its `runs`, and its best combination so far."""

    label: str
    done: float
    runs: int
    best: str


@dataclass(frozen=True)
class Progress:
    """The progress of a running study; `runs_done` includes fractions of running trainings.

    `runs` is the number of runs wanted so far, and `most_runs` the largest that it may become; None
    if only time or the bound limits it.

    `combination` is the label of the group that is training now; `loaded` counts the runs that were
    stored before.
    """

    runs_done: float
    runs: int
    combination: str
    seconds: float
    best: str
    loaded: int = 0
    groups: Sequence[GroupProgress] = ()
    most_runs: int | None = None


def progress(
    result: Result,
    trials: Trials,
    job: Job,
    runs_done: float,
    seconds: float,
    most_runs: int | None = None,
) -> Progress:
    """The progress when `result` has the finished runs, and `runs_done` of `job` are running."""
    rows = result.answer.rows
    jobs = trials.jobs
    finished = Counter((run.combination, run.short) for run in trials.outcomes)

    def best(indices: Container[int]) -> str:
        row = next((row for row in rows if row.combination in indices), None)
        return f"{short_label(row.levels)} {result.metric.show(row.mean)}" if row else ""

    groups = [
        GroupProgress(
            each.label,
            sum(finished[index, each.short] for index in each.indices)
            + (runs_done if each.label == job.label else 0),
            len(each.runs),
            best(each.indices),
        )
        for each in jobs
    ]
    return Progress(
        len(trials.outcomes) + runs_done,
        sum(len(each.runs) for each in jobs),
        job.label,
        seconds,
        best(range(len(result.combinations))),
        result.environment["runs_loaded"],
        groups,
        most_runs,
    )
