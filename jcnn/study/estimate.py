"""What a study would cost: its groups are compiled, and each trains for one call."""

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
    """`runs` in all, `found` of them in the ledger; the rest is for what is missing.

    `memory` is bytes on each device, of the largest group: states, data and temporaries.
    """

    combinations: int
    runs: int
    found: int
    groups: int
    compile_seconds: float
    train_seconds: float
    memory: int
    devices: int
    failures: dict[str, str]


def estimate(study: Study, directory: Path) -> Estimate:
    """Compile what is missing in `directory` and time one call of each; nothing is kept."""
    jobs = study.jobs(study.prepare())
    keys = [run.key for job in jobs for run in job.runs]
    there = (directory / NAME).exists()
    finished = Ledger(directory, read_only=True).outcomes(keys) if there else {}
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
        sum(_seconds(group) for group in compiled),
        max((group.memory for group in compiled), default=0),
        jax.local_device_count(),
        {label(study.combinations[i].names()): why for i, why in failed(jobs).items()},
    )


def _seconds(compiled: engine.CompiledGroup) -> float:
    """How long a group would train: a call that trains, after the first, taken for all steps."""
    training = engine.Training(compiled)
    began, before, per_step = time.perf_counter(), 0, 0.0
    for call, steps in enumerate(training.run()):
        now = time.perf_counter()
        if steps > before:
            per_step = (now - began) / (steps - before)
            if call:
                break
        began, before = now, steps
    return per_step * compiled.steps_per_epoch * compiled.group.epochs
