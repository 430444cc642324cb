"""Run a study's groups: lock, compile ahead in threads, train, checkpoint and store."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from filelock import FileLock

from jcnn import engine
from jcnn.study.job import Job
from jcnn.study.storage.atomic_files import StorageError
from jcnn.study.storage.checkpoint import Checkpoints
from jcnn.study.storage.directory import Memory, StudyDirectory
from jcnn.study.storage.run_key import digest

# The number of groups that are compiled ahead of the one that is training.
AHEAD = 2
# The time between checkpoints of a running group; longer if checkpoints would take more than this
# share of the time. An interruption loses what was trained since the last one.
CHECKPOINT_SECONDS = 10.0
CHECKPOINT_SHARE = 0.05

Show = Callable[[Job, float], None]


def run_jobs(
    jobs: Sequence[Job], keep: Memory | StudyDirectory, notes: list[str], show: Show
) -> Iterator[Job]:
    """Train and store the missing runs of each job; yield each job when it is finished.

    If a job fails, the reason is recorded in it and the other jobs go on. A group that another
    process is training is deferred until nothing else is left to do.
    """
    left = list(jobs)
    claimed: list[tuple[Job, FileLock, Future[engine.CompiledGroup]]] = []
    pool = ThreadPoolExecutor(AHEAD)

    def claim(*, wait: bool) -> None:
        while len(claimed) < AHEAD:
            next_job = _claim(left, keep, show, wait=wait and not claimed)
            if next_job is None:
                return
            job, lock = next_job
            claimed.append((job, lock, pool.submit(job.compile)))

    try:
        claim(wait=True)
        while claimed:
            job, lock, compiled = claimed.pop(0)
            claim(wait=False)
            try:
                _train(job, compiled.result, keep, notes, show)
            except StorageError:
                raise
            except Exception as error:
                job.fail(_reason(error))
            finally:
                lock.release()
            yield job
            claim(wait=True)
    finally:
        # An interruption does not wait for running compilations.
        pool.shutdown(wait=False, cancel_futures=True)
        for _, lock, _ in claimed:
            lock.release()


def _claim(
    left: list[Job], keep: Memory | StudyDirectory, show: Show, *, wait: bool
) -> tuple[Job, FileLock] | None:
    """The next job with missing runs that no other process is training, and its lock.

    None if there is none, or if other processes hold all remaining jobs and `wait` is false.
    """
    while left:
        for job in left:
            lock = keep.claim(digest(job.label), wait=False)
            if lock is not None:
                break
        else:
            if not wait:
                return None
            job = left[0]
            show(job, 0.0)
            lock = keep.claim(digest(job.label), wait=True)
        left.remove(job)
        missing = job.missing(keep.outcomes([run.key for run in job.runs]))
        missing.check()
        if missing.runs and lock is not None:
            return missing, lock
        if lock is not None:
            lock.release()
    return None


def _train(
    job: Job,
    compiled: Callable[[], engine.CompiledGroup],
    keep: Memory | StudyDirectory,
    notes: list[str],
    show: Show,
) -> None:
    """Train a job and store its runs.

    If the device runs out of memory, the job is split in halves. If anything else fails, each
    combination is trained alone, so that only those at fault fail.
    """
    checkpoints = keep.checkpoints([run.key for run in job.runs])
    try:
        training = _training(job, compiled(), checkpoints, notes)
        _advance(job, training, checkpoints, notes, show)
    except StorageError:
        raise
    except Exception as error:
        parts = _smaller(job, error, notes)
    else:
        keep.add(job.rows(training.outcomes))
        if checkpoints is not None:
            checkpoints.remove()
        return
    for part in parts:
        _train(part, part.compile, keep, notes, show)


def _smaller(job: Job, error: Exception, notes: list[str]) -> Sequence[Job]:
    """The jobs to train instead of one that failed; none if it cannot be split, and has failed."""
    memory = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    if memory and len(job.runs) > 1:
        notes.append(
            f"{job.label}: {len(job.runs)} runs together did not fit the device's memory, so they "
            "were trained as two groups"
        )
        return job.halves()
    combinations = job.alone()
    if len(combinations) > 1:
        return combinations
    if memory:
        job.fail(
            f"out of memory: a single run of {job.label} does not fit the device; use a "
            "smaller batch_size or a narrower model"
        )
    else:
        job.fail(_reason(error))
    return ()


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())[-400:]  # the cause comes last


def _training(
    job: Job, compiled: engine.CompiledGroup, checkpoints: Checkpoints | None, notes: list[str]
) -> engine.Training:
    snapshot = None if checkpoints is None else checkpoints.newest()
    if snapshot is not None:
        try:
            return engine.Training(compiled, snapshot)
        except ValueError as error:
            notes.append(f"{job.label}: its checkpoint was not used: {error}")
    return engine.Training(compiled)


def _advance(
    job: Job,
    training: engine.Training,
    checkpoints: Checkpoints | None,
    notes: list[str],
    show: Show,
) -> None:
    """Train to the end, with checkpoints on the way."""
    total = job.recipe.total_steps
    last, pause = time.perf_counter(), CHECKPOINT_SECONDS
    for steps in training.run():
        show(job, steps / total * len(job.runs))
        began = time.perf_counter()
        if checkpoints is None or steps == total or began - last < pause:
            continue
        try:
            checkpoints.keep(training.snapshot())
        except Exception as error:  # Orbax raises whatever its storage raises
            checkpoints = None
            notes.append(
                f"{job.label}: not checkpointed ({' '.join(str(error).split())[:200]}), so an "
                "interruption would have lost it"
            )
        last = time.perf_counter()
        pause = max(CHECKPOINT_SECONDS, (last - began) / CHECKPOINT_SHARE)
