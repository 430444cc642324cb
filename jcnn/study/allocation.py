"""Which runs a study trains: all of a grid, or those that a race over seeds still needs.

What is wanted is a function of the study and of the outcomes of runs that it wanted before, so an
interrupted study comes to the same runs, and processes that share a directory agree.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from jcnn.analysis.learning_rate_grid import beyond_edge
from jcnn.analysis.racing import LOOKS
from jcnn.analysis.ranking import Row
from jcnn.analysis.records import RunRecord
from jcnn.analysis.result import Result
from jcnn.engine import Outcome
from jcnn.study.factors import LEARNING_RATE
from jcnn.study.plan import Plan

# After one seed, this share of the learning rates goes on (at least two), to this many seeds; the
# best of those goes on alone.
_KEPT_RATES = 0.4
_FEWEST_RATES = 2
_SEEDS_PER_RATE = 3


class Wanted(NamedTuple):
    """A run that a study wants: the combination's index, the learning rate and the seed.

    A `short` run has `halving_epochs` epochs, and only tells which learning rates are behind.
    """

    combination: int
    learning_rate: float
    seed: int
    short: bool = False


class Allocation:
    """The runs of a study, stage by stage: a stage follows when the one before is finished.

    A full grid has one stage, and so has a study of one combination. A race halves the learning
    rates of each combination by their validation values (all of them with one seed, the better two
    fifths with three), trains the best one with five seeds, and looks at 5, 8, 12, 18, 27 and 40
    seeds (`jcnn.analysis.race`), after which the combinations that are ruled out get no more. It
    ends when one is left, when the leader's bound is at most `within` (by default, what independent
    errors on the test examples alone spread an accuracy by), or when a stage would exceed
    `most_runs`.

    With `extend_learning_rates`, combinations whose best rate is at the edge get further ones. With
    `halving_epochs`, the rates of the first stage are compared after so many epochs, and only the
    better two fifths are trained to the end.
    """

    def __init__(self, plan: Plan, empty: Result) -> None:
        """`empty` is the study's result before any run."""
        self._plan, self._empty = plan, empty

    def wanted(
        self, outcomes: Mapping[Wanted, Outcome], failures: Mapping[int, str]
    ) -> list[Wanted]:
        """The runs of every stage that is finished, and of the next one, in order of training."""
        stages = _Stages(self._plan, self._empty, outcomes, failures)
        for stage in stages.race() if self._plan.races else stages.full_grid():
            if not stages.add(stage):
                break
        return stages.runs


class _Stages:
    """The stages of a study, computed with the outcomes of the runs added so far."""

    def __init__(
        self,
        plan: Plan,
        empty: Result,
        outcomes: Mapping[Wanted, Outcome],
        failures: Mapping[int, str],
    ) -> None:
        self.runs: list[Wanted] = []
        self._plan, self._most = plan, plan.most_runs
        self._outcomes, self._failures = outcomes, failures
        self._result = self._short = replace(empty, failures=failures)
        self._combinations = [i for i in range(len(plan.combinations)) if i not in failures]

    def add(self, stage: Sequence[Wanted]) -> bool:
        """Add what fits of a stage; whether all of it is added and finished."""
        fits = [*stage[: self._room(stage)]]
        self.runs += fits
        # Finished runs of later stages do not count.
        finished = [run for run in self.runs if run in self._outcomes]
        records = {
            short: [
                RunRecord(*run[:3], self._outcomes[run]) for run in finished if run.short == short
            ]
            for short in (False, True)
        }
        self._result = replace(self._result, records=records[False])
        self._short = replace(self._short, records=records[True])
        return len(fits) == len(stage) and all(run in self._outcomes for run in fits)

    def full_grid(self) -> Iterator[list[Wanted]]:
        seeds = sorted(self._plan.seed_values)
        yield self._every(self._plan.rates, seeds)
        yield from self._extensions(seeds)

    def race(self) -> Iterator[list[Wanted]]:
        """The stages up to the first look, then a stage per look."""
        plan = self._plan
        if plan.max_runs is not None or plan.budget is not None:
            # An answer, if the rest is not reached.
            yield self._every(lambda i: [_middle(plan.rates(i))], [plan.seed(0)])
        short = plan.halving_epochs is not None
        yield self._every(plan.rates, [plan.seed(0)], short=short)
        yield from self._extensions([plan.seed(0)], short=short)
        if short:
            yield [
                run
                for row in self._rows(short=True)
                for rate in _better_rates(row, self._short)
                for run in self._upto(row, rate, 1)
            ]
        first = min(len(plan.seed_values), LOOKS[0])
        yield [
            run
            for row in self._rows()
            for rate in _better_rates(row, self._result)
            for run in self._upto(row, rate, min(first, _SEEDS_PER_RATE))
        ]
        yield self._more_seeds(first)
        for size in LOOKS:
            stage = self._more_seeds(size)
            if not self._fits(stage):
                return
            yield stage
            if self._decided():
                return

    def _every(
        self,
        rates: Callable[[int], Sequence[float]],
        seeds: Sequence[int],
        *,
        short: bool = False,
    ) -> list[Wanted]:
        known = set(self.runs)
        return [
            run
            for combination in self._combinations
            for rate in rates(combination)
            for seed in seeds
            if (run := Wanted(combination, rate, seed, short)) not in known
        ]

    def _extensions(self, seeds: Sequence[int], *, short: bool = False) -> Iterator[list[Wanted]]:
        while self._plan.extend_learning_rates and LEARNING_RATE not in self._plan.levels:
            beyond = {
                row.combination: beyond_edge(list(row.by_rate), row.learning_rate)
                for row in self._rows(short=short)
            }
            stage = [
                Wanted(combination, rate, seed, short)
                for combination, rate in beyond.items()
                if rate is not None
                for seed in seeds
            ]
            if not stage:
                return
            if self._most is not None and self._plan.max_runs is None:
                self._most += len(stage) // len(seeds) * len(self._plan.seed_values)
            yield stage

    def _more_seeds(self, size: int) -> list[Wanted]:
        """The runs of the combinations that are left, with so many seeds at their chosen rate."""
        ruled_out = self._result.answer.ruled_out
        return [
            run
            for row in self._rows()
            if row.combination not in ruled_out and (size <= LOOKS[0] or row.comparable)
            for run in self._upto(row, row.learning_rate, size)
        ]

    def _upto(self, row: Row, rate: float, size: int) -> list[Wanted]:
        known = set(self.runs)
        runs = [Wanted(row.combination, rate, self._plan.seed(i)) for i in range(size)]
        return [run for run in runs if run not in known]

    def _fits(self, stage: Sequence[Wanted]) -> bool:
        return self._room(stage) == len(stage)

    def _room(self, stage: Sequence[Wanted]) -> int:
        """How many of a stage's runs, from the first on, the study has room for."""
        most = self._most
        if most is None:
            return len(stage)

        def exceeds(count: int) -> bool:
            return full_runs(self._plan, [*self.runs, *stage[:count]]) > most

        return bisect_left(range(1, len(stage) + 1), True, key=exceeds)

    def _decided(self) -> bool:
        """Whether one combination is left, or the leader's bound is small enough."""
        answer = self._result.answer
        within = self._plan.within
        if within is not None:
            within /= 100 if answer.metric.percent else 1
        else:
            within = answer.noise_floor(answer.rows[0]) if answer.rows else math.nan
        left = sum(row.comparable and row.combination not in answer.ruled_out
                   for row in answer.rows)  # fmt: skip
        return left < 2 or answer.bound <= within

    def _rows(self, *, short: bool = False) -> list[Row]:
        """The ranking of the runs so far, in the study's order."""
        result = self._short if short else self._result
        return sorted(result.answer.rows, key=lambda row: row.combination)


def full_runs(plan: Plan, runs: Sequence[Wanted]) -> int:
    """The cost of runs in runs of full length, rounded up."""
    short = sum(run.short for run in runs)
    return len(runs) - short + -(-short * (plan.halving_epochs or 0) // int(plan.epochs))


def _middle(rates: Sequence[float]) -> float:
    return sorted(rates)[len(rates) // 2]


def _better_rates(row: Row, result: Result) -> list[float]:
    """The learning rates of a combination that go on after one seed."""
    kept = max(math.ceil(_KEPT_RATES * len(row.by_rate)), _FEWEST_RATES)
    badness = result.metric.badness
    return sorted(row.by_rate, key=lambda rate: (badness(row.by_rate[rate]), rate))[:kept]
