"""Run a study's groups: lock, compile ahead in threads, train, checkpoint and store."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import jax
from filelock import FileLock

from jcnn import engine
from jcnn.study.job import Job
from jcnn.study.plan import Plan
from jcnn.study.storage.atomic_files import StorageError
from jcnn.study.storage.checkpoint import Checkpoints
from jcnn.study.storage.directory import Memory, StudyDirectory
from jcnn.study.storage.run_key import digest
from jcnn.study.trials import Trials

# The number of groups that are compiled ahead of the one that is training.
AHEAD = 2
# The time between checkpoints of a running group; longer if checkpoints would take more than this
# share of the time. An interruption loses what was trained since the last one.
CHECKPOINT_SECONDS = 10.0
CHECKPOINT_SHARE = 0.05
# Seconds between two looks at a lock that another process holds, if time is limited.
_PAUSE = 0.2

Show = Callable[[Job, float], None]


class OutOfTimeError(Exception):
    """The deadline of a study has passed."""


@dataclass(eq=False)
class _Part:
    """A group, or what of it is trained apart because the whole failed, and its programs.

    `capacity` is the number of runs that the programs have room for; None until it is compiled, if
    they are to have room for the runs that are missing then.
    """

    group: Job
    capacity: int | None
    compiled: Future[engine.CompiledGroup] | None = None


class Runner:
    """Trains what a study's trials want, with one program per group for all stages.

    If a group fails, the reason is recorded in it and the other groups go on. A group that another
    process is training is deferred until nothing else is left to do.
    """

    def __init__(
        self,
        plan: Plan,
        trials: Trials,
        keep: Memory | StudyDirectory,
        show: Show,
        deadline: float | None = None,
    ) -> None:
        """`deadline` is a time of `time.perf_counter`."""
        self._trials, self._keep, self._show, self._deadline = trials, keep, show, deadline
        self._parts = [_Part(group, plan.runs_at_once(group.members)) for group in trials.groups]
        self._claimed: list[tuple[_Part, FileLock]] = []
        self._training: _Part | None = None
        self._pool = ThreadPoolExecutor(AHEAD)
        self.trained = 0

    def run(self) -> Iterator[None]:
        """Train until nothing is missing; yield after each visit of a group.

        `trained` is the number of runs that have been trained and stored.

        Raises OutOfTimeError when the deadline has passed; what is training is checkpointed.
        """
        try:
            self._claim_ahead(wait=True)
            while self._claimed:
                part, lock = self._claimed.pop(0)
                self._training = part
                try:
                    self._claim_ahead(wait=False)
                    self._visit(part)
                finally:
                    lock.release()
                    self._training = None
                self._trials.update()
                yield
                self._claim_ahead(wait=True)
        finally:
            # An interruption does not wait for running compilations.
            self._pool.shutdown(wait=False, cancel_futures=True)
            for _, lock in self._claimed:
                lock.release()

    def _claim_ahead(self, *, wait: bool) -> None:
        while len(self._claimed) < AHEAD:
            claimed = self._claim(wait=wait and not self._claimed)
            if claimed is None:
                return
            self._claimed.append(claimed)

    def _claim(self, *, wait: bool) -> tuple[_Part, FileLock] | None:
        """The next part with missing runs that no other process is training, and its lock.

        None if there is none, or if other processes hold all of them and `wait` is false.
        """
        while True:
            self._trials.update()
            mine = [self._training, *(part for part, _ in self._claimed)]
            left = [
                part
                for part in self._parts
                if part not in mine and self._trials.missing(part.group).runs
            ]
            if not left:
                return None
            for part in left:
                lock = self._keep.claim(digest(part.group.label), wait=False)
                if lock is not None:
                    break
            else:
                if not wait:
                    return None
                part = left[0]
                self._show(part.group, 0.0)
                lock = self._wait(part)
            self._trials.update()
            missing = self._trials.missing(part.group)
            missing.check()
            if missing.runs:
                self._compile(part, missing)
                # Its next runs come after those of the other parts.
                self._parts.remove(part)
                self._parts.append(part)
                return part, lock
            lock.release()

    def _wait(self, part: _Part) -> FileLock:
        """Wait for the process that holds a part, and return its lock."""
        name = digest(part.group.label)
        while True:
            lock = self._keep.claim(name, wait=self._deadline is None)
            if lock is not None:
                return lock
            if self._deadline is not None and time.perf_counter() >= self._deadline:
                raise OutOfTimeError
            time.sleep(_PAUSE)

    def _compile(self, part: _Part, missing: Job) -> None:
        """Start to compile a part's programs, unless it has them."""
        part.capacity = part.capacity or len(missing.runs)
        if part.compiled is None:
            first = next(missing.blocks(part.capacity))
            part.compiled = self._pool.submit(first.compile, part.capacity)

    def _visit(self, part: _Part) -> None:
        """Train and store a part's missing runs, block by block.

        If the device runs out of memory, blocks are halved. If anything else fails, each
        combination is trained alone, so that only those at fault fail.
        """
        missing = self._trials.missing(part.group)
        missing.check()
        self._compile(part, missing)
        for block in missing.blocks(part.capacity or 1):
            try:
                self._train(part, block)
            except (StorageError, OutOfTimeError):
                raise
            except Exception as error:
                self._split(part, block, error)
                break
            self.trained += len(block.runs)
            self._trials.update()

    def _train(self, part: _Part, block: Job) -> None:
        """Train a block, with checkpoints on the way, and store its runs."""
        checkpoints = self._keep.checkpoints([run.key for run in block.runs])
        training = self._start(block, self._programs(part), checkpoints)
        total = block.recipe.total_steps
        last, pause = time.perf_counter(), CHECKPOINT_SECONDS
        for steps in training.run():
            self._show(block, steps / total * len(block.runs))
            began = time.perf_counter()
            late = self._deadline is not None and began >= self._deadline
            if steps == total or not (late or began - last >= pause):
                continue
            if checkpoints is not None:
                try:
                    checkpoints.keep(training.snapshot())
                except Exception as error:  # Orbax raises whatever its storage raises
                    checkpoints = None
                    self._keep.notes.append(
                        f"{block.label}: not checkpointed ({' '.join(str(error).split())[:200]}), "
                        "so an interruption would have lost it"
                    )
            if late:
                raise OutOfTimeError
            last = time.perf_counter()
            pause = max(CHECKPOINT_SECONDS, (last - began) / CHECKPOINT_SHARE)
        self._keep.add(block.rows(training.outcomes))
        if checkpoints is not None:
            checkpoints.remove()

    def _programs(self, part: _Part) -> engine.CompiledGroup:
        """A part's programs, once they are compiled."""
        if part.compiled is None:
            raise ValueError("the part was not compiled")
        if self._deadline is None:
            return part.compiled.result()
        try:
            return part.compiled.result(max(self._deadline - time.perf_counter(), 0.0))
        except TimeoutError:
            raise OutOfTimeError from None

    def _start(
        self, block: Job, programs: engine.CompiledGroup, checkpoints: Checkpoints | None
    ) -> engine.Training:
        compiled = block.on(programs)
        snapshot = None if checkpoints is None else checkpoints.newest()
        if snapshot is not None:
            try:
                return engine.Training(compiled, snapshot)
            except ValueError as error:
                self._keep.notes.append(f"{block.label}: its checkpoint was not used: {error}")
        return engine.Training(compiled)

    def _split(self, part: _Part, block: Job, error: Exception) -> None:
        """Train a part that failed in smaller blocks or parts, or record that it has failed."""
        memory = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(
            error
        )
        capacity = part.capacity or len(block.runs)
        if memory and capacity > 1:
            self._keep.notes.append(
                f"{block.label}: {capacity} runs together did not fit the device's memory, so they "
                "were trained in smaller groups"
            )
            part.capacity, part.compiled = -(-capacity // 2), None
            return
        combinations = part.group.alone()
        if len(combinations) > 1:
            self._parts.remove(part)
            self._parts += [_Part(alone, part.capacity) for alone in combinations]
        elif memory:
            block.fail(
                f"out of memory: a single run of {block.label} does not fit the device; use a "
                "smaller batch_size or a narrower model"
            )
        else:
            block.fail(_reason(error))


def _reason(error: Exception) -> str:
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())[-400:]  # the cause comes last
