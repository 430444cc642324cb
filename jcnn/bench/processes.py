"""Whole processes: the start time of the command and of imports, and `jcnn compare`."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jcnn.bench.clock import interleaved
from jcnn.interruption import on_interruption

_JCNN = (sys.executable, "-c", "from jcnn.cli.main import entry; entry()")


class ProcessRun(NamedTuple):
    """The seconds of a finished process, its peak resident memory in bytes, and its output.

    The memory is 0 on systems without `/proc`.
    """

    seconds: float
    peak_bytes: int
    output: str


@dataclass
class ProcessResult:
    """Figures of whole processes; each name ends with its unit."""

    name: str
    figures: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)


def run_processes(
    *, rounds: int = 20, chosen: Callable[[str], bool] = lambda name: True
) -> Iterator[ProcessResult]:
    """Measure start times, and `jcnn compare` twice: with an empty cache and with a full one.

    >>> list(run_processes(chosen=print))  # prints the names and selects none
    start
    jcnn compare
    []
    >>> for result in run_processes():  # doctest: +SKIP
    ...     print(result.name, result.figures)

    The second example is skipped in the tests: it runs `jcnn compare` twice, for minutes.
    """
    if chosen("start"):
        yield start_times(rounds)
    if chosen("jcnn compare"):
        yield compare_twice()


def start_times(rounds: int) -> ProcessResult:
    """Time `jcnn --help` and imports: jcnn, what a study uses of it, and its dependencies."""
    imports = {
        "import jcnn": "import jcnn",  # its parts are imported when first used
        "jcnn.Study": "import jcnn; jcnn.Study",
        "import flax, optax": "import flax, optax",
        "import flax.nnx, optax": "import flax.nnx, optax",
    }
    sides = {name: _seconds_of([sys.executable, "-c", code]) for name, code in imports.items()}
    timings = interleaved({"help": _seconds_of([*_JCNN, "--help"]), **sides}, rounds)
    figures = {f"{name}, s": timing.median for name, timing in timings.items()}
    over = timings["jcnn.Study"].median / timings["import flax.nnx, optax"].median - 1
    return ProcessResult("start", {**figures, "jcnn.Study over flax.nnx and optax, %": 100 * over})


def compare_twice(arguments: Sequence[str] = ()) -> ProcessResult:
    """Measure `jcnn compare` with these arguments: time, memory, compilations, and its report."""
    result = ProcessResult("jcnn compare")
    temporary = tempfile.TemporaryDirectory()
    with temporary as folder, on_interruption(temporary.cleanup):
        for start in ("first", "second"):
            out = Path(folder) / start
            command = [*_JCNN, "compare", *arguments, "--quiet", "--no-report", "--out", str(out)]
            process = run_process(command, {"XDG_CACHE_HOME": folder})
            if not (out / "environment.json").exists():
                raise ValueError(f"jcnn compare failed: {process.output.strip()[-300:]}")
            result.figures |= {
                f"{start} start, s": process.seconds,
                f"{start} start, programs compiled": _compilations(out),
            }
            if process.peak_bytes:
                result.figures[f"{start} start, peak GB"] = process.peak_bytes / 1e9
        report = run_process([*_JCNN, "report", str(out)], {"XDG_CACHE_HOME": folder})
        result.figures["its report, s"] = report.seconds
    return result


def _compilations(out: Path) -> int:
    environment = json.loads((out / "environment.json").read_text())
    return int(environment["compilations"]["compiled"])


def _seconds_of(command: Sequence[str]) -> Callable[[], float]:
    return lambda: run_process(command, {}).seconds


def run_process(command: Sequence[str], environment: dict[str, str]) -> ProcessRun:
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment
        )
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
        watcher.start()
        with on_interruption(process.kill):
            process.wait()
        seconds = time.perf_counter() - began
        watcher.join()
        output.seek(0)
        return ProcessRun(seconds, max(peaks), output.read())


def _watch(pid: int, peaks: list[int]) -> None:
    # The kernel's own maximum for a child includes its parent's memory when it was started.
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        if peak is None:
            return  # the process has ended
        peaks.append(int(peak[1]) * 1024)
        time.sleep(0.02)
