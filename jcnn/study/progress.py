"""Where a running study stands."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from jcnn.analysis.result import Result
from jcnn.analysis.text import spelled
from jcnn.study.job import Job


class GroupProgress(NamedTuple):
    """How far the runs of one compiled program are, and the best of its combinations so far."""

    label: str
    done: float
    runs: int
    best: str


@dataclass(frozen=True)
class Progress:
    """Where a running study stands: runs are counted in whole and part trainings.

    `combination` is the label of the group that trains now, `found` how many runs were there
    before.
    """

    runs_done: float
    runs: int
    combination: str
    seconds: float
    best: str
    found: int = 0
    groups: Sequence[GroupProgress] = ()


def progress(
    result: Result, jobs: Sequence[Job], job: Job, runs_done: float, seconds: float
) -> Progress:
    """That of a study whose finished runs are in `result`, and `runs_done` of `job`'s under way."""
    rows = result.ranking()
    finished = Counter(record.combination for record in result.records)

    def best(indices: Container[int]) -> str:
        row = next((row for row in rows if row.combination in indices), None)
        return f"{spelled(row)} {result.measure.show(row.mean)}" if row else ""

    groups = [
        GroupProgress(
            one.label,
            sum(finished[index] for index in one.indices)
            + (runs_done if one.label == job.label else 0),
            len(one.runs),
            best(one.indices),
        )
        for one in jobs
    ]
    return Progress(
        len(result.records) + runs_done,
        sum(len(one.runs) for one in jobs),
        job.label,
        seconds,
        best(range(len(result.combinations))),
        result.environment["runs_loaded"],
        groups,
    )
