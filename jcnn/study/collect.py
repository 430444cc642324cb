"""The state of a study's runs: finished, failed, or missing."""

from collections.abc import Sequence
from dataclasses import replace

from jcnn.analysis.records import RunRecord
from jcnn.analysis.result import Result
from jcnn.study.job import Job
from jcnn.study.storage.directory import Memory, StudyDirectory


def check_missing(jobs: Sequence[Job], keep: Memory | StudyDirectory) -> int:
    """Check the models of the missing runs, and return the number of finished runs.

    Raises ValueError if no combination can be trained.
    """
    finished = keep.outcomes([run.key for job in jobs for run in job.runs])
    for job in jobs:
        job.missing(finished).check()
    failures = failed(jobs)
    if len(failures) == sum(len(job.members) for job in jobs):
        raise ValueError(next(iter(failures.values())))
    return len(finished)


def collect(result: Result, jobs: Sequence[Job], keep: Memory | StudyDirectory) -> Result:
    """`result` with the runs that are finished, in the study's order, and the failures."""
    finished = keep.outcomes([run.key for job in jobs for run in job.runs])
    records = sorted(
        (
            RunRecord(job.indices[run.member], run.learning_rate, run.seed, finished[run.key])
            for job in jobs
            for run in job.runs
            if run.key in finished
        ),
        key=lambda record: (record.combination, record.learning_rate, record.seed),
    )
    return replace(result, records=records, failures=failed(jobs))


def failed(jobs: Sequence[Job]) -> dict[int, str]:
    """The combinations that cannot be trained, and the reasons."""
    return {index: reason for job in jobs for index, reason in job.failures.items()}
