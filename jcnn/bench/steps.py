"""Training steps of whole networks: jcnn's engine, and the same work in plain Flax and in PyTorch.

All sides start from the same weights and train on the same batches in the same order. Their losses
are compared, so that no side is faster by computing less.
"""

import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jcnn import data as datasets
from jcnn import engine, models, training
from jcnn.acceleration import accelerate
from jcnn.bench.clock import interleaved, milliseconds, ratios
from jcnn.bench.flax_side import FlaxTraining, PlainNet
from jcnn.bench.machine import Peaks
from jcnn.bench.torch_side import TorchSide, TorchTraining

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A network to train on digits, enlarged `enlarged` times and cropped to `size`."""

    name: str
    size: int
    enlarged: int
    features: tuple[int, ...]
    hidden: tuple[int, ...]
    batch_size: int
    runs: int

    def data(self) -> training.Data:
        """Return the training examples (uint8) and held-out examples, prepared for the engine."""
        return engine.prepare(self.dataset(), 0.2)

    def dataset(self) -> datasets.Dataset:
        """Return the enlarged digits."""
        digits = datasets.load("digits")

        def enlarge(images: np.ndarray) -> np.ndarray:
            for axis in (1, 2):
                images = np.repeat(images, self.enlarged, axis)
            return images[:, : self.size, : self.size]

        return datasets.Dataset(
            self.name,
            enlarge(digits.train_inputs),
            digits.train_targets,
            enlarge(digits.test_inputs),
            digits.test_targets,
            digits.classes,
            digits.source,
        )

    def model(self, rngs: Any, dtype: Any = None) -> Any:
        """Return the network, built with jcnn's layers."""
        shape = (self.size, self.size, 1)
        return models.lenet(
            shape, 10, features=self.features, hidden=self.hidden, dtype=dtype, rngs=rngs
        )

    def flops(self) -> float:
        """Return the FLOPs of a step: forward, and backward except for the input's gradient."""
        size, inputs, total, first = self.size, 1, 0.0, True
        for width in self.features:
            layer = 2 * size**2 * 9 * inputs * width
            total += layer * (2 if first else 3)
            size, inputs, first = size // 2, width, False
        widths = [size**2 * inputs, *self.hidden, 10]
        total += sum(3 * 2 * math.prod(pair) for pair in itertools.pairwise(widths))
        return total * self.batch_size


WORKLOADS = (
    Workload("digits CNN", 8, 1, (16, 32), (64,), 64, 16),
    Workload("28x28 CNN", 28, 4, (32, 64), (128,), 128, 4),
)


class EngineTraining:
    """Training of a workload's runs 0 to `runs - 1` with the engine.

    `data` replaces its own examples, and `build` its network of jcnn's layers.
    """

    def __init__(
        self,
        workload: Workload,
        runs: int,
        dtype: Any = None,
        *,
        data: training.Data | None = None,
        watch: training.Watch | None = None,
        build: engine.Builder | None = None,
    ) -> None:
        self.runs = runs
        recipe = training.Recipe(
            training.classification(),
            training.optimizers.adam,
            "constant",
            10**6,
            warmup_steps=0,
            gradient_clip=None,
            watch=watch,
        )
        numbers = training.Hyperparameters(LEARNING_RATE, 0.9, 0.0)
        group = engine.Group(
            [build or partial(_build, workload, dtype)],
            [engine.Run(0, seed, numbers) for seed in range(runs)],
            recipe,
            workload.batch_size,
            epochs=1,
        )
        began = time.perf_counter()
        self.compiled = engine.CompiledGroup(group, data or workload.data())
        self.compile_seconds = time.perf_counter() - began
        self.steps = self.compiled.steps_per_epoch
        self._training = engine.Training(self.compiled)
        self._training.start(0)

    def first_weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the initial kernel and bias of each layer of run 0."""
        params = self.compiled.initialization.states().params
        return [
            (np.asarray(layer["kernel"][...][0]), np.asarray(layer["bias"][...][0]))
            for layer in params.values()
        ]

    def epoch_loss(self) -> float:
        """Return the mean loss of run 0 over one epoch, starting from the initial weights."""
        restarted = engine.Training(self.compiled)
        restarted.start(0)
        history = restarted.train(0, self.steps)[1]
        return float(history.train["loss"][0])

    def sample(self) -> float:
        """Return the seconds per step and model."""
        began = time.perf_counter()
        self._training.train(0, self.steps)
        return (time.perf_counter() - began) / (self.steps * self.runs)


def _build(workload: Workload, dtype: Any, rngs: Any) -> Any:
    return workload.model(rngs, dtype)


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
    flax_layers = EngineTraining(
        workload, workload.runs, build=lambda rngs: PlainNet(weights), data=many.compiled.data
    )
    result.losses["jcnn, flax layers"] = flax_layers.epoch_loss()
    sides = {
        ours: many.sample,
        "jcnn, 1 model": one.sample,
        f"{ours} of flax layers": flax_layers.sample,
    }
    data = many.compiled.data
    inputs = np.asarray(training.normalize(jnp.asarray(data.inputs), data))
    batches = engine.epoch_batches(0, 0, len(inputs), workload.batch_size)
    targets = data.targets
    if "flax" in versus:
        work = (weights, inputs, targets, batches, LEARNING_RATE)
        flax, accelerated = FlaxTraining(*work), FlaxTraining(*work, wrap=accelerate)
        result.losses["flax"] = float(np.mean(flax.losses()))
        result.losses["flax, accelerated"] = float(np.mean(accelerated.losses()))
        sides["flax, scan"] = flax.sample
        sides["jcnn.accelerate, flax scan"] = partial(accelerated.sample, None)
    with tempfile.TemporaryDirectory() as folder:
        if torch is not None:
            path = Path(folder) / "work.npz"
            named = {
                f"{kind}{i}": array
                for i, pair in enumerate(weights)
                for kind, array in zip(("kernel", "bias"), pair, strict=True)
            }
            arrays = {"inputs": inputs, "targets": targets, "batches": batches, **named}
            np.savez(path, allow_pickle=False, **arrays)
            sides |= _torch_sides(torch, path, len(batches), result)
        timings = interleaved(sides, rounds)
    result.milliseconds = milliseconds(timings)
    fastest = timings[ours].median
    result.gflops = workload.flops() / fastest / 1e9
    result.gflops_share = result.gflops / peaks.matmul_gflops
    result.ratios = ratios(timings, fastest)
    return result


def _torch_sides(
    torch: TorchSide, path: Path, steps: int, result: StepsResult
) -> dict[str, Callable[[], float]]:
    """Return PyTorch's samplers; add their losses, or the reason of a failure, to `result`."""
    sides: dict[str, Callable[[], float]] = {}
    for name, training_way in torch_ways(torch, path).items():
        try:
            result.losses[name] = float(np.mean(training_way.losses(steps)))
        except RuntimeError as error:
            result.failed[name] = " ".join(str(error).split())[:300]
            continue
        sides[name] = partial(training_way.sample, max(steps // 2, 1))
    return sides


def torch_ways(torch: TorchSide, path: Path) -> dict[str, TorchTraining]:
    ways = {}
    for compiled, layout, processes in itertools.product(
        (False, True), ("nchw", "channels_last"), ("all", "each")
    ):
        name = ", ".join(
            [
                "torch",
                layout,
                "compiled" if compiled else "eager",
                "one process" if processes == "all" else "one process a core",
            ]
        )
        request = {
            "do": "train",
            "path": str(path),
            "layout": layout,
            "compiled": compiled,
            "learning_rate": LEARNING_RATE,
        }
        ways[name] = torch.train(request, processes)
    return ways
