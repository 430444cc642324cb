"""The cost of a study, estimated: its groups are compiled, and each trains for two calls."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax

from jcnn import engine
from jcnn.analysis.labels import label
from jcnn.analysis.racing import LOOKS
from jcnn.analysis.result import Result
from jcnn.engine import Outcome
from jcnn.study.allocation import Allocation, Wanted, full_runs
from jcnn.study.job import Job
from jcnn.study.runner import AHEAD
from jcnn.study.storage.directory import Memory
from jcnn.study.storage.ledger import NAME, Ledger
from jcnn.study.study import Study
from jcnn.study.trials import Trials


class Estimate(NamedTuple):
    """A study's `runs`, how many of them have `finished` already, and the cost of the others.

    `runs` is the number if nothing is ruled out, `first_look_runs` how many of them come before the
    first look of a race, and `full_grid_runs` what the full grid has; short runs count as the part
    of a run that they are. `seconds_per_run` is an average over the groups. `memory` is the number
    of bytes per device of the largest group: states, data and temporaries. `failures` maps
    combinations that cannot be trained to the reason.
    """

    combinations: int
    runs: int
    first_look_runs: int
    full_grid_runs: int
    finished: int
    groups: int
    compile_seconds: float
    seconds_per_run: float
    memory: int
    devices: int
    failures: dict[str, str]

    @property
    def train_seconds(self) -> float:
        """The seconds of training that are left, at most."""
        return max(self.runs - self.finished, 0) * self.seconds_per_run


def estimate(study: Study, directory: Path) -> Estimate:
    """Compile the groups with runs missing in `directory` and time them; nothing is stored."""
    prepared = study.prepare()
    dataset, task, _ = prepared
    empty = Result(
        study.describe(dataset),
        task.metric,
        task.higher_is_better,
        [combination.names() for combination in study.combinations],
    )
    allocation = Allocation(study, empty)
    has_ledger = (directory / NAME).exists()
    keep = Ledger(directory, read_only=True) if has_ledger else Memory()
    trials = Trials(study.all_jobs(prepared), keep, allocation)
    trials.check()
    missing = [job for group in trials.groups if (job := trials.missing(group)).runs]
    # Equal values would end a race at once by its bound, and extend rates as far as possible.
    unlimited = replace(study, within=None, extend_learning_rates=False)
    most = Allocation(unlimited, empty).wanted(_Equal(task.metric), trials.failures)
    first_seeds = {study.seed(place) for place in range(LOOKS[0])}

    def compile_group(job: Job) -> engine.CompiledGroup:
        capacity = study.runs_at_once(job.members) or len(job.runs)
        return next(job.blocks(capacity)).compile(capacity)

    began = time.perf_counter()
    with ThreadPoolExecutor(AHEAD) as pool:
        compiled = list(pool.map(compile_group, missing))
    compile_seconds = time.perf_counter() - began
    weights = [len(job.members) for job in missing]
    seconds = [
        _seconds_per_epoch(group) * int(study.epochs) * n
        for group, n in zip(compiled, weights, strict=True)
    ]
    return Estimate(
        len(study.combinations),
        full_runs(study, most),
        full_runs(study, [run for run in most if run.seed in first_seeds]),
        study.runs,
        full_runs(study, [*trials.outcomes]),
        len(missing),
        compile_seconds,
        sum(seconds) / max(sum(weights), 1),
        max((group.memory for group in compiled), default=0),
        jax.local_device_count(),
        {label(study.combinations[i].names()): why for i, why in trials.failures.items()},
    )


class _Equal(Mapping[Wanted, Outcome]):
    """The outcomes of a study of which every run has the same value."""

    def __init__(self, metric: str) -> None:
        self._outcome = Outcome({f"validation_{metric}": [0.5]}, {metric: 0.5})

    def __getitem__(self, run: Wanted) -> Outcome:
        return self._outcome

    def __contains__(self, run: object) -> bool:
        return True

    def __iter__(self) -> Iterator[Wanted]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _seconds_per_epoch(compiled: engine.CompiledGroup) -> float:
    """Extrapolate the seconds of an epoch of one run from the second call, or the only one."""
    training = engine.Training(compiled)
    steps, seconds, per_step, calls = 0, 0.0, 0.0, 0
    for reached in training.run():
        if reached == steps:
            continue  # an evaluation
        per_step = (training.seconds - seconds) / (reached - steps)
        steps, seconds, calls = reached, training.seconds, calls + 1
        if calls == 2:
            break
    return per_step * compiled.steps_per_epoch / len(compiled.group.runs)
