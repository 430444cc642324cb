"""How a study's groups are carried out: claimed, compiled ahead in threads, trained, and kept."""

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

# How many groups are compiled ahead of the one that trains.
AHEAD = 2
# A group under way is checkpointed this often, or less often where that would cost more than a
# twentieth of its time: an interruption loses what was trained since.
CHECKPOINT_SECONDS = 10.0
CHECKPOINT_SHARE = 0.05

Show = Callable[[Job, float], None]


def run_jobs(
    jobs: Sequence[Job], keep: Memory | StudyDirectory, notes: list[str], show: Show
) -> Iterator[Job]:
    """Train what is missing of each job and keep it; a job that fails says so and others go on.

    Gives each job when it is done with.

    A group that another process is training is left until there is nothing else to do.
    """
    left = list(jobs)
    claimed: list[tuple[Job, FileLock, Future[engine.CompiledGroup]]] = []
    pool = ThreadPoolExecutor(AHEAD)

    def claim(*, wait: bool) -> None:
        while len(claimed) < AHEAD:
            found = _claim(left, keep, show, wait=wait and not claimed)
            if found is None:
                return
            job, lock = found
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
                kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
                job.fail(kind + " ".join(str(error).split())[-400:])  # the cause comes last
            finally:
                lock.release()
            yield job
            claim(wait=True)
    finally:
        # Who interrupts does not wait for what still compiles.
        pool.shutdown(wait=False, cancel_futures=True)
        for _, lock, _ in claimed:
            lock.release()


def _claim(
    left: list[Job], keep: Memory | StudyDirectory, show: Show, *, wait: bool
) -> tuple[Job, FileLock] | None:
    """The next job that has something to train and that no other process has, and its lock.

    None where there is none, or where others have all that is left and we do not `wait`.
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
    """Train a job and keep its runs; where a device has not the memory, in halves one by one."""
    checkpoints = keep.checkpoints([run.key for run in job.runs])
    try:
        training = _training(job, compiled(), checkpoints, notes)
        _advance(job, training, checkpoints, notes, show)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        if len(job.runs) == 1:
            job.fail(
                f"out of memory: a single run of {job.label} does not fit the device; use a "
                "smaller batch_size or a narrower model"
            )
            return
    else:
        keep.add(job.rows(training.outcomes))
        if checkpoints is not None:
            checkpoints.remove()
        return
    notes.append(
        f"{job.label}: {len(job.runs)} runs together did not fit the device's memory, so they "
        "were trained in halves"
    )
    for half in job.halves():
        _train(half, half.compile, keep, notes, show)


def _training(
    job: Job, compiled: engine.CompiledGroup, checkpoints: Checkpoints | None, notes: list[str]
) -> engine.Training:
    snapshot = None if checkpoints is None else checkpoints.newest()
    if snapshot is not None:
        try:
            return engine.Training(compiled, snapshot)
        except ValueError as error:
            notes.append(f"{job.label}: its checkpoint was left out: {error}")
    return engine.Training(compiled)


def _advance(
    job: Job,
    training: engine.Training,
    checkpoints: Checkpoints | None,
    notes: list[str],
    show: Show,
) -> None:
    """Train to the end, leaving checkpoints on the way."""
    total = job.recipe.total_steps
    last, pause = time.perf_counter(), CHECKPOINT_SECONDS
    for steps in training.run():
        show(job, steps / total * len(job.runs))
        began = time.perf_counter()
        if checkpoints is None or steps == total or began - last < pause:
            continue
        try:
            checkpoints.keep(training.snapshot())
        except Exception as error:  # Orbax raises what its storage raises, of many types
            checkpoints = None
            notes.append(
                f"{job.label}: not checkpointed ({' '.join(str(error).split())[:200]}), so an "
                "interruption would have lost it"
            )
        last = time.perf_counter()
        pause = max(CHECKPOINT_SECONDS, (last - began) / CHECKPOINT_SHARE)
