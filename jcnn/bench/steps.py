"""Train steps of whole networks: jcnn's engine, and the same work in plain Flax and in PyTorch.

All sides start from the same weights, see the same batches in the same order, and their losses are
compared, so that nobody wins by computing less.
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
from jcnn.bench.clock import interleaved, milliseconds, ratios
from jcnn.bench.flax_side import FlaxTraining
from jcnn.bench.machine import Peaks
from jcnn.bench.torch_side import TorchSide, TorchTraining

LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Workload:
    """A network to train: digits, each pixel `enlarged` so many times and cut to `size`."""

    name: str
    size: int
    enlarged: int
    features: tuple[int, ...]
    hidden: tuple[int, ...]
    batch_size: int
    runs: int

    def data(self) -> training.Data:
        """Training examples (uint8), and the held-out ones that the engine wants."""
        return engine.prepare(self.dataset(), 0.2)

    def dataset(self) -> datasets.Dataset:
        """The enlarged digits."""
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
        """Jcnn's network."""
        shape = (self.size, self.size, 1)
        return models.lenet(
            shape, 10, features=self.features, hidden=self.hidden, dtype=dtype, rngs=rngs
        )

    def flops(self) -> float:
        """Multiplications and additions of a step: forward, and backward but for the input."""
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
    """Runs 0 to `runs - 1` of a workload, by the engine; `data` instead of its own, if given."""

    def __init__(
        self,
        workload: Workload,
        runs: int,
        dtype: Any = None,
        *,
        data: training.Data | None = None,
        watch: training.Watch | None = None,
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
            [partial(_built, workload, dtype)],
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
        """Kernel and bias of each layer of run 0, before any step."""
        params = self.compiled.initialization.states().params
        return [
            (np.asarray(layer["kernel"][...][0]), np.asarray(layer["bias"][...][0]))
            for layer in params.values()
        ]

    def epoch_loss(self) -> float:
        """The mean loss of run 0 over one epoch from the first weights."""
        anew = engine.Training(self.compiled)
        anew.start(0)
        history = anew.train(0, self.steps)[1]
        return float(history.train["loss"][0])

    def sample(self) -> float:
        """Seconds a step and model."""
        began = time.perf_counter()
        self._training.train(0, self.steps)
        return (time.perf_counter() - began) / (self.steps * self.runs)


def _built(workload: Workload, dtype: Any, rngs: Any) -> Any:
    return workload.model(rngs, dtype)


@dataclass
class StepsResult:
    """Milliseconds a step and model by side; the losses that must agree; and what bounds them."""

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
        """Plain values."""
        return asdict(self)

    def best(self) -> float:
        """Our milliseconds a step and model, with many models."""
        return self.milliseconds[f"jcnn, {self.runs} models"]["median"]

    def summary(self) -> str:
        """The rate as a share of the machine's, ratios, and whether the losses agree."""
        parts = [f"{self.gflops:.0f} GFLOP/s ({self.gflops_share:.0%} of matmul)"]
        parts += [f"{ratio:.1f} x faster than {rival}" for rival, ratio in self.ratios.items()]
        parts += [f"{side} failed: {reason}" for side, reason in self.failed.items()]
        losses = self.losses.values()
        if len(losses) > 1:
            apart = max(losses) / min(losses) - 1
            parts.append(f"losses of an epoch agree to {apart:.0e}")
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
    """Time each workload: one model, and many; and its rivals, the best of PyTorch's ways apart.

    >>> list(run_steps(Peaks(100.0, 10.0), chosen=print))  # shows the names, and chooses none
    digits CNN
    28x28 CNN
    []
    >>> for result in run_steps(Peaks(100.0, 10.0)):  # doctest: +SKIP
    ...     print(result.name, result.summary())

    The second example is not run with the others: it takes a minute.
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
    sides = {ours: many.sample, "jcnn, 1 model": one.sample}
    data = many.compiled.data
    inputs = np.asarray(training.run.normalize(jnp.asarray(data.inputs), data))
    batches = engine.epoch_batches(0, 0, len(inputs), workload.batch_size)
    targets = data.targets
    if "flax" in versus:
        flax = FlaxTraining(many.first_weights(), inputs, targets, batches, LEARNING_RATE)
        result.losses["flax"] = float(np.mean(flax.losses()))
        sides["flax, scan"] = flax.sample
    with tempfile.TemporaryDirectory() as folder:
        if torch is not None:
            path = Path(folder) / "work.npz"
            weights = {
                f"{kind}{i}": array
                for i, pair in enumerate(many.first_weights())
                for kind, array in zip(("kernel", "bias"), pair, strict=True)
            }
            arrays = {"inputs": inputs, "targets": targets, "batches": batches, **weights}
            np.savez(path, allow_pickle=False, **arrays)
            for name, way in torch_ways(torch, path).items():
                try:
                    result.losses[name] = float(np.mean(way.losses(len(batches))))
                except RuntimeError as error:
                    result.failed[name] = " ".join(str(error).split())[:300]
                    continue
                steps = max(len(batches) // 2, 1)
                sides[name] = partial(way.sample, steps)
        timings = interleaved(sides, rounds)
    result.milliseconds = milliseconds(timings)
    fastest = timings[ours].median
    result.gflops = workload.flops() / fastest / 1e9
    result.gflops_share = result.gflops / peaks.matmul_gflops
    result.ratios = ratios(timings, fastest)
    return result


def torch_ways(torch: TorchSide, path: Path) -> dict[str, TorchTraining]:
    """Every way in which PyTorch trains the work at `path`, by name."""
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
