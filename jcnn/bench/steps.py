"""Training steps of whole networks: jcnn's engine, and the same work in plain Flax and in PyTorch.

All sides start from the same weights and train on the same batches in the same order. Their losses
are compared, so that no side is faster by computing less.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jcnn import engine, training
from jcnn.acceleration import accelerate
from jcnn.bench.clock import interleaved, milliseconds, ratios
from jcnn.bench.engine_side import LEARNING_RATE, EngineTraining
from jcnn.bench.flax_side import FlaxTraining
from jcnn.bench.machine import Peaks
from jcnn.bench.torch_side import TorchSide, TorchTraining, torch_ways
from jcnn.bench.workloads import WORKLOADS, Workload


@dataclass
class StepsResult:
    """Milliseconds per step and model by side, the losses that must agree, and the rates."""

    name: str
    runs: int
    compile_seconds: float
    milliseconds: dict[str, dict[str, float]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    gflops: float = 0.0
    gflops_share: float = 0.0
    ratios: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)

    def best(self) -> float:
        """Return jcnn's milliseconds per step and model, with many models."""
        return self.milliseconds[f"jcnn, {self.runs} models"]["median"]

    def summary(self) -> str:
        """Return the rate, the ratios and the agreement of the losses in one line."""
        parts = [f"{self.gflops:.0f} GFLOP/s ({self.gflops_share:.0%} of matmul)"]
        parts += [f"{ratio:.1f} x faster than {rival}" for rival, ratio in self.ratios.items()]
        parts += [f"{side} failed: {reason}" for side, reason in self.failed.items()]
        losses = self.losses.values()
        if len(losses) > 1:
            difference = max(losses) / min(losses) - 1
            parts.append(f"losses of an epoch agree to {difference:.0e}")
        return f"{'; '.join(parts)}; compiled in {self.compile_seconds:.1f} s"


def run_steps(
    peaks: Peaks,
    *,
    rounds: int = 20,
    versus: tuple[str, ...] = (),
    torch: TorchSide | None = None,
    dtype: Any = None,
    chosen: Callable[[str], bool] = lambda name: True,
) -> Iterator[StepsResult]:
    """Time each workload with one model and with many, and its rivals in Flax and PyTorch.

    >>> list(run_steps(Peaks(100.0, 10.0), chosen=print))  # prints the names and selects none
    digits CNN
    28x28 CNN
    ResNet-20
    []
    >>> for result in run_steps(Peaks(100.0, 10.0)):  # doctest: +SKIP
    ...     print(result.name, result.summary())

    The second example is skipped in the tests: it takes a minute.
    """
    for workload in WORKLOADS:
        if chosen(workload.name):
            yield _run(workload, peaks, rounds, versus, torch, dtype)


def _run(
    workload: Workload,
    peaks: Peaks,
    rounds: int,
    versus: tuple[str, ...],
    torch: TorchSide | None,
    dtype: Any,
) -> StepsResult:
    many, one = EngineTraining(workload, workload.runs, dtype), EngineTraining(workload, 1, dtype)
    result = StepsResult(workload.name, workload.runs, many.compile_seconds)
    result.losses["jcnn"] = many.epoch_loss()
    ours = f"jcnn, {workload.runs} models"
    weights = many.first_weights()
    data = many.compiled.data
    sides = {ours: many.sample, "jcnn, 1 model": one.sample}
    if dtype is None:
        flax_layers = EngineTraining(
            workload,
            workload.runs,
            build=lambda rngs: workload.plain_model(weights),
            data=data,
        )
        result.losses["jcnn, flax layers"] = flax_layers.epoch_loss()
        sides[f"{ours} of flax layers"] = flax_layers.sample
    inputs = np.asarray(training.normalize(jnp.asarray(data.inputs), data))
    batches = engine.epoch_batches(0, 0, len(inputs), workload.batch_size)
    targets = data.targets
    if "flax" in versus:
        model = workload.plain_model(weights)
        work = (model, inputs, targets, batches, LEARNING_RATE)
        flax, accelerated = FlaxTraining(*work), FlaxTraining(*work, wrap=accelerate)
        result.losses["flax"] = float(np.mean(flax.losses()))
        result.losses["flax, accelerated"] = float(np.mean(accelerated.losses()))
        sides["flax, scan"] = flax.sample
        sides["jcnn.accelerate, flax scan"] = partial(accelerated.sample, None)
    with tempfile.TemporaryDirectory() as folder:
        if torch is not None:
            path = Path(folder) / "work.npz"
            arrays = {"inputs": inputs, "targets": targets, "batches": batches}
            named = {f"weights/{name}": array for name, array in weights.items()}
            np.savez(path, allow_pickle=False, **arrays, **named)
            ways = torch_ways(torch, path, LEARNING_RATE, jnp.dtype(dtype or "float32").name)
            sides |= _torch_sides(ways, len(batches), result)
        timings = interleaved(sides, rounds)
    result.milliseconds = milliseconds(timings)
    fastest = timings[ours].median
    result.gflops = workload.flops() / fastest / 1e9
    result.gflops_share = result.gflops / peaks.matmul_gflops
    result.ratios = ratios(timings, fastest)
    return result


def _torch_sides(
    ways: Mapping[str, TorchTraining], steps: int, result: StepsResult
) -> dict[str, Callable[[], float]]:
    """Return PyTorch's samplers; add their losses, or the reason of a failure, to `result`."""
    sides: dict[str, Callable[[], float]] = {}
    for name, training_way in ways.items():
        try:
            result.losses[name] = float(np.mean(training_way.losses(steps)))
        except RuntimeError as error:
            result.failed[name] = " ".join(str(error).split())[:300]
            continue
        sides[name] = partial(training_way.sample, max(steps // 2, 1))
    return sides
