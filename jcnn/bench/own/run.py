"""Time a function beside others and beside other commits, each in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jcnn.bench.json_process import JsonProcess
from jcnn.bench.own.intervals import Ratio, paired_ratio
from jcnn.errors import UsageError
from jcnn.interruption import on_interruption


@dataclass
class FunctionResult:
    """The figures of one side: what `worker.Side.about` returns, and seconds per call by round.

    `compiled_again` is how often JAX compiled the function again during the rounds, with its
    explanation of the first time.
    """

    name: str
    about: dict[str, Any]
    seconds: list[float] = field(default_factory=list)
    compiled_again: int = 0
    why_again: str = ""
    operations: list[list[Any]] = field(default_factory=list)
    ratio: Ratio | None = None

    @property
    def median(self) -> float:
        """The median of the seconds per call."""
        return float(np.median(self.seconds))

    def faults(self) -> list[str]:
        """Return what makes a call slower than it need be, a line each."""
        found = []
        if self.compiled_again:
            found.append(
                f"compiled {self.compiled_again} programs again during the samples: "
                f"{self.why_again or 'JAX gives no reason'}"
            )
        found += [f"a donation had no effect: {each}" for each in self.about["not_donated"]]
        found += [f"converts {each}" for each in self.about["promotions"]]
        found += [f"waits for the host: {each}" for each in self.about["host_calls"]]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self) | {"ratio": self.ratio and self.ratio._asdict()}


def run_function(
    function: str,
    *,
    arguments: Sequence[str] = (),
    versus: Sequence[str] = (),
    revisions: Sequence[str] = (),
    donate: Sequence[int] = (),
    as_is: bool = False,
    rounds: int = 20,
    profile: bool = False,
) -> tuple[dict[str, float], list[FunctionResult]]:
    """Time a function, `module:function`, and return the machine's peaks and a result per side.

    The function is given `arguments` (see `jcnn.bench.own.arguments`); one without arguments
    returns `(function, arguments)`. `versus` are other functions with the same arguments, and
    `revisions` are commits whose version of the function is timed, in a checkout beside.
    `donate` are the positions of arguments to donate, if the function is not jitted itself. A
    function that jits parts of its work itself is timed `as_is`, without `jax.jit` around it. All
    sides are sampled in turn, `rounds` times; `ratio` is that of a side's time over the first's.

    Raises UsageError if a side cannot be started.

    >>> _, (result,) = run_function("jcnn.activations:relu", arguments=["f32[8]"], rounds=2)
    >>> len(result.seconds), result.faults()
    (2, [])
    """
    with ExitStack() as stack:
        here = Path.cwd()
        chosen = [(name, name, here) for name in (function, *versus)]
        for revision in revisions:
            tree = stack.enter_context(checked_out(revision))
            chosen.append((f"{function} at {revision}", function, tree))
        sides: list[tuple[FunctionResult, JsonProcess]] = []
        for name, target, folder in chosen:
            process = JsonProcess(
                [sys.executable, "-P", "-m", "jcnn.bench.own.worker"], os.environ, folder
            )
            stack.enter_context(closing(process))
            request = {
                "function": target,
                "arguments": [*arguments],
                "donate": [*donate],
                "as_is": as_is,
            }
            try:  # one after another, so that compilations do not disturb each other
                sides.append((FunctionResult(name, process.ask(request)), process))
            except (RuntimeError, ValueError) as error:
                text = str(error)
                raise UsageError(text if text.startswith(name) else f"{name}: {text}") from None
        first, process = sides[0]
        peaks = process.ask("peaks")
        for number in range(rounds):
            place = number % len(sides)
            for result, process in sides[place:] + sides[:place]:
                sample = process.ask("sample")
                result.seconds.append(sample["seconds"])
                result.compiled_again += sample["compilations"]
        for result, process in sides:
            if result.compiled_again:
                result.why_again = " ".join((process.ask("misses") or [""])[0].split())
            if profile:
                result.operations = process.ask("profile")["operations"]
            if result is not first:
                result.ratio = paired_ratio(result.seconds, first.seconds)
    return peaks, [result for result, _ in sides]


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Check a commit out beside, and give the folder that corresponds to the present one.

    Raises UsageError if there is no repository or no such commit.
    """
    prefix = _git("rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory(prefix="jcnn-revision-") as folder:
        tree = Path(folder) / "tree"

        def remove() -> None:
            _git("worktree", "remove", "--force", str(tree))

        _git("worktree", "add", "--detach", str(tree), revision)
        with on_interruption(remove):
            try:
                yield tree / prefix
            finally:
                remove()


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("--rev needs git, which is not installed") from None
    if done.returncode:
        reason = (done.stderr.strip() or "git failed").splitlines()[-1]
        raise UsageError(f"--rev: {reason}")
    return done.stdout
