"""The cost of a study, estimated: its groups are compiled, and each trains for two calls."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax

from jcnn import engine
from jcnn.analysis.labels import label
from jcnn.study.collect import failed
from jcnn.study.job import Job
from jcnn.study.runner import AHEAD
from jcnn.study.storage.ledger import NAME, Ledger
from jcnn.study.study import Study


class Estimate(NamedTuple):
    """A study's `runs`, how many of them have `finished` already, and the cost of the others.

    `memory` is the number of bytes per device of the largest group: states, data and temporaries.
    `failures` maps combinations that cannot be trained to the reason.
    """

    combinations: int
    runs: int
    finished: int
    groups: int
    compile_seconds: float
    train_seconds: float
    memory: int
    devices: int
    failures: dict[str, str]


def estimate(study: Study, directory: Path) -> Estimate:
    """Compile the groups with runs missing in `directory` and time them; nothing is stored."""
    jobs = study.jobs(study.prepare())
    keys = [run.key for job in jobs for run in job.runs]
    has_ledger = (directory / NAME).exists()
    finished = Ledger(directory, read_only=True).outcomes(keys) if has_ledger else {}
    missing = [job.missing(finished) for job in jobs]
    for job in missing:
        job.check()
    missing = [job for job in missing if job.runs]
    began = time.perf_counter()
    with ThreadPoolExecutor(AHEAD) as pool:
        compiled = list(pool.map(Job.compile, missing))
    compile_seconds = time.perf_counter() - began
    return Estimate(
        len(study.combinations),
        study.runs,
        len(finished),
        len(missing),
        compile_seconds,
        sum(_train_seconds(group) for group in compiled),
        max((group.memory for group in compiled), default=0),
        jax.local_device_count(),
        {label(study.combinations[i].names()): why for i, why in failed(jobs).items()},
    )


def _train_seconds(compiled: engine.CompiledGroup) -> float:
    """Extrapolate a group's training time from its second call, or its only one."""
    training = engine.Training(compiled)
    steps, seconds, per_step, calls = 0, 0.0, 0.0, 0
    for reached in training.run():
        if reached == steps:
            continue  # an evaluation
        per_step = (training.seconds - seconds) / (reached - steps)
        steps, seconds, calls = reached, training.seconds, calls + 1
        if calls == 2:
            break
    return per_step * compiled.steps_per_epoch * compiled.group.epochs
