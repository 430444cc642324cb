"""The runs that a study wants, and those that have finished, as its storage holds them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from jcnn.analysis.records import RunRecord
from jcnn.analysis.result import Result
from jcnn.engine import Outcome
from jcnn.study.allocation import Allocation, Wanted
from jcnn.study.job import Job


@runtime_checkable
class Storage(Protocol):
    """What keeps the outcomes of runs."""

    def outcomes(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The outcomes of the finished runs among `keys`."""
        ...


class Trials:
    """The runs of a study's groups: `wanted` so far, and the `outcomes` of those that finished.

    Finished runs that the study does not want, of an earlier study in the same directory, do not
    count.
    """

    def __init__(self, groups: Sequence[Job], keep: Storage, allocation: Allocation) -> None:
        self.groups = groups
        self.wanted: list[Wanted] = []
        self.outcomes: dict[Wanted, Outcome] = {}
        self._keep, self._allocation = keep, allocation
        self._decided_with: dict[int, str] | None = None

    @property
    def failures(self) -> dict[int, str]:
        """The combinations that cannot be trained, and the reasons."""
        return {index: reason for job in self.groups for index, reason in job.failures.items()}

    @property
    def jobs(self) -> list[Job]:
        """The groups with their wanted runs."""
        return [group.wanting(self.wanted) for group in self.groups]

    def update(self) -> None:
        """Read what has finished, here and in other processes, and decide what is wanted now."""
        while True:
            unknown = [run for run in self.wanted if run not in self.outcomes]
            keys = {key: run for job in self.groups for run, key in job.keys(unknown).items()}
            finished = self._keep.outcomes(keys) if keys else {}
            failures = self.failures
            if not finished and failures == self._decided_with:
                return
            self.outcomes |= {keys[key]: outcome for key, outcome in finished.items()}
            self.wanted = self._allocation.wanted(self.outcomes, failures)
            self._decided_with = failures

    def missing(self, group: Job) -> Job:
        """A group, or a part of one, with its wanted runs that have not finished."""
        return group.wanting([run for run in self.wanted if run not in self.outcomes])

    def check(self) -> None:
        """Update, and check the models of the missing runs.

        Raises ValueError if no combination can be trained.
        """
        self.update()
        for group in self.groups:
            self.missing(group).check()
        failures = self.failures
        if len(failures) == len({index for group in self.groups for index in group.indices}):
            raise ValueError(next(iter(failures.values())))
        self.update()

    def result(self, empty: Result) -> Result:
        """`empty` with the runs that are finished, in the study's order, and the failures."""
        finished = [run for run in sorted(self.wanted) if run in self.outcomes]
        whole = {(run.combination, run.learning_rate) for run in self.wanted if not run.short}
        compared = {run.combination for run in self.wanted if not run.short}
        stopped = {
            (run.combination, run.learning_rate)
            for run in finished
            if run.short and run.combination in compared
        }
        return replace(
            empty,
            records=[RunRecord(*run[:3], self.outcomes[run]) for run in finished if not run.short],
            failures=self.failures,
            stopped_rates=sorted(stopped - whole),
        )
