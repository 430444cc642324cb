"""Scaling: speed and memory against the number of runs, the width and the batch size."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jcnn.bench.clock import interleaved
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import CONV_NETS, Workload

RUNS = (1, 2, 4, 8, 16, 32, 64)
WIDTHS = (0.5, 1, 2, 4)
BATCHES = (16, 32, 64, 128, 256, 512)


@dataclass
class SweepResult:
    """Measurements over one quantity; the others are those of the digits workload."""

    name: str
    points: list[dict[str, float]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)


def run_sweep(*, rounds: int = 20, dtype: Any = None) -> Iterator[SweepResult]:
    """Vary each quantity of the digits CNN in turn; the samples of a quantity are interleaved.

    >>> sweep = run_sweep(rounds=1)  # nothing runs before the first result is requested
    >>> [point["value"] for point in next(sweep).points]  # doctest: +SKIP
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]

    The second line is skipped in the tests: all results take minutes.
    """
    base = CONV_NETS[0]
    for name, values in (("runs", RUNS), ("width", WIDTHS), ("batch", BATCHES)):
        trained = {}
        for value in values:
            workload: Workload = base
            if name == "width":
                features = tuple(int(value * width) for width in base.features)
                hidden = tuple(int(value * width) for width in base.hidden)
                workload = replace(base, features=features, hidden=hidden)
            elif name == "batch":
                workload = replace(base, batch_size=int(value))
            runs = int(value) if name == "runs" else base.runs
            trained[f"{value:g}"] = EngineTraining(workload, runs, dtype)
        timings = interleaved({key: side.sample for key, side in trained.items()}, rounds)
        result = SweepResult(name)
        for value, (key, timing) in zip(values, timings.items(), strict=True):
            result.points.append(
                {
                    "value": float(value),
                    "steps_per_second": 1 / timing.median,
                    "low": 1 / timing.high,
                    "high": 1 / timing.low,
                    "megabytes": trained[key].compiled.memory / 1e6,
                    "n": timing.n,
                }
            )
        yield result
