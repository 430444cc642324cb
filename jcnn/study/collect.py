"""What of a study's runs is finished, what has failed, and whether anything can be trained."""

from collections.abc import Sequence

from jcnn.analysis.ranking import RunRecord
from jcnn.analysis.result import Result
from jcnn.study.job import Job
from jcnn.study.storage.directory import Memory, StudyDirectory


def check_missing(jobs: Sequence[Job], keep: Memory | StudyDirectory) -> int:
    """Check the models of runs that are missing; how many runs are there already.

    Raises ValueError where no combination can be trained.
    """
    finished = keep.outcomes([run.key for job in jobs for run in job.runs])
    for job in jobs:
        job.missing(finished).check()
    failures = failed(jobs)
    if len(failures) == sum(len(job.members) for job in jobs):
        raise ValueError(next(iter(failures.values())))
    return len(finished)


def collect(result: Result, jobs: Sequence[Job], keep: Memory | StudyDirectory) -> None:
    """Put what is finished into the result, in the study's order, and what has failed."""
    finished = keep.outcomes([run.key for job in jobs for run in job.runs])
    result.records = sorted(
        (
            RunRecord(job.indices[run.member], run.learning_rate, run.seed, finished[run.key])
            for job in jobs
            for run in job.runs
            if run.key in finished
        ),
        key=lambda record: (record.combination, record.learning_rate, record.seed),
    )
    result.failures = failed(jobs)


def failed(jobs: Sequence[Job]) -> dict[int, str]:
    """The combinations of all jobs that cannot be trained, and why."""
    return {index: reason for job in jobs for index, reason in job.failures.items()}
