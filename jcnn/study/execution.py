"""How a study's groups are carried out: compiled ahead in threads, halved where they do not fit."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice

import jax

from jcnn import engine, training
from jcnn.study.job import Job

# How many groups are compiled ahead of the one that trains.
AHEAD = 2


def compiled_ahead(
    jobs: Sequence[Job], data: training.Data
) -> Iterator[tuple[Job, Callable[[], engine.CompiledGroup]]]:
    """Each job with what gives its compiled group; the next compile in threads meanwhile."""
    pool = ThreadPoolExecutor(AHEAD)
    rest = iter(jobs)
    waiting: list[tuple[Job, Future[engine.CompiledGroup]]] = [
        (job, pool.submit(job.compile, data)) for job in islice(rest, AHEAD)
    ]
    try:
        while waiting:
            job, future = waiting.pop(0)
            waiting += [(j, pool.submit(j.compile, data)) for j in islice(rest, 1)]
            yield job, future.result
    finally:
        # Who interrupts does not wait for what still compiles.
        pool.shutdown(wait=False, cancel_futures=True)


def fitting(
    job: Job,
    compiled: Callable[[], engine.CompiledGroup],
    data: training.Data,
    notes: list[str],
    show: Callable[[Job, float], None],
) -> Iterator[tuple[Job, list[engine.Outcome]]]:
    """Train a job; where a device has not the memory for it, in halves one after another.

    Raises ValueError where a single run does not fit.
    """
    outcomes: list[engine.Outcome] = []
    try:
        for steps, latest in compiled().train():
            outcomes = latest
            show(job, steps / job.recipe.total_steps * len(job.keys))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        if len(job.keys) == 1:
            raise ValueError(
                f"out of memory: a single run of {job.label} does not fit the device; use a "
                "smaller batch_size or a narrower model"
            ) from error
    else:
        yield job, outcomes
        return
    notes.append(
        f"{job.label}: {len(job.keys)} runs together did not fit the device's memory, so they "
        "were trained in halves"
    )
    for half in job.halves():
        yield from fitting(half, partial(half.compile, data), data, notes, show)
