"""Times of single operations inside a compiled program, read from the trace of JAX's profiler."""

import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.profiler import ProfileData

# The category of an operation is the first of these that is part of a name of it, in lower case.
CATEGORIES = {
    "convolution": "convolution",
    "cudnn": "convolution",
    "fprop": "convolution",
    "wgrad": "convolution",
    "dgrad": "convolution",
    "gemm": "matrix product",
    "dot": "matrix product",
    "scatter": "scatter",
    "sort": "sort",
    "rng": "random bits",
    "memcpy": "copy",
    "memset": "copy",
    "copy": "copy",
    "transpose": "transpose",
    "reduce": "reduction",
    "ynn": "YNNPACK",  # XLA:CPU's library of products, convolutions and reductions
}
# Loops and calls contain other operations, which are counted themselves.
_CONTAINERS = ("while", "call", "conditional", "end: ")


class OperationTime(NamedTuple):
    """The time of one operation of a program, of all its executions together."""

    name: str
    kernel: str
    category: str
    milliseconds: float
    executions: int


class Profile(NamedTuple):
    """The operations, slowest first, and how long the device was busy with any, in milliseconds.

    `span` is from the first operation's start to the last one's end; the difference between `span`
    and `busy` is time in which the device waited, for example for kernels to be launched.
    """

    operations: list[OperationTime]
    busy: float
    span: float

    def by_category(self) -> dict[str, float]:
        """Return the milliseconds of each category, largest first."""
        total: dict[str, float] = defaultdict(float)
        for operation in self.operations:
            total[operation.category] += operation.milliseconds
        return dict(sorted(total.items(), key=lambda item: -item[1]))


def profile(function: Callable[[], Any]) -> Profile:
    """Run `function` once under JAX's profiler and return the times of its operations.

    Call the function once before, so that compilation is not part of the trace. Operations are
    those of the optimized program (fusions, convolutions, ...); on a GPU, `kernel` is the kernel
    that ran. On several devices the times are summed.

    >>> import jax, jax.numpy as jnp
    >>> product = jax.jit(lambda x: jnp.tanh(x @ x))
    >>> x = jnp.ones((256, 256))
    >>> _ = jax.block_until_ready(product(x))
    >>> result = profile(lambda: jax.block_until_ready(product(x)))
    >>> result.busy <= result.span
    True
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            function()
        (path,) = Path(folder).rglob("*.xplane.pb")
        events = list(_events(ProfileData.from_file(str(path))))
    total: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        total[event.name, event.kernel].append(event.end - event.start)
    operations = [
        OperationTime(name, kernel, category(f"{name} {kernel}"), sum(times) / 1e6, len(times))
        for (name, kernel), times in total.items()
    ]
    operations.sort(key=lambda operation: -operation.milliseconds)
    busy, span = _busy(events)
    return Profile(operations, busy / 1e6, span / 1e6)


def category(names: str) -> str:
    """Return what kind of operation has these names.

    >>> category("loop_transpose_fusion"), category("fusion.3")
    ('transpose', 'elementwise')
    """
    lower = names.lower()
    return next((kind for text, kind in CATEGORIES.items() if text in lower), "elementwise")


class _Event(NamedTuple):
    name: str
    kernel: str
    start: float
    end: float


def _events(data: Any) -> Iterator[_Event]:
    devices = [plane for plane in data.planes if plane.name.startswith("/device:")]
    for plane in devices or data.planes:
        for line in plane.lines:
            for event in line.events:
                with warnings.catch_warnings():
                    # "builtin type event_stats has no __module__ attribute"
                    warnings.simplefilter("ignore", DeprecationWarning)
                    stats = dict(event.stats)
                name = str(stats.get("hlo_op", "" if not devices else event.name))
                if not name or event.name.startswith(_CONTAINERS) or name.startswith(_CONTAINERS):
                    continue
                yield _Event(name, event.name, event.start_ns, event.start_ns + event.duration_ns)


def _busy(events: list[_Event]) -> tuple[float, float]:
    """Return the length of the union of all events, and of the whole, in nanoseconds."""
    busy, end = 0.0, 0.0
    for event in sorted(events, key=lambda event: event.start):
        busy += max(0.0, event.end - max(event.start, end))
        end = max(end, event.end)
    return busy, end - min((event.start for event in events), default=end)
