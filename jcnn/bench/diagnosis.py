"""The time that monitoring every layer adds to a training step."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn import losses
from jcnn.bench.clock import interleaved, milliseconds
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import CONV_NETS, Workload
from jcnn.diagnosis.monitor import make_watch

# Every 20th step is measured; an epoch has 40.
EVERY, STEPS = 20, 40


@dataclass
class DiagnosisResult:
    """Milliseconds per step and model without and with monitoring, and the overhead."""

    name: str
    runs: int
    compile_seconds: float
    compile_seconds_without: float
    milliseconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self) | {"added": self.added}

    @property
    def added(self) -> float:
        """The added time as a fraction of a step's."""
        return self.milliseconds[f"diagnosed every {EVERY}th step"]["median"] / self.best() - 1

    def best(self) -> float:
        """Return the milliseconds per step and model without monitoring."""
        return self.milliseconds["not diagnosed"]["median"]

    def summary(self) -> str:
        """Return the overhead in one line."""
        return (
            f"{self.added:+.1%} per step; compiled in {self.compile_seconds:.1f} s instead of "
            f"{self.compile_seconds_without:.1f} s"
        )


def run_diagnosis(
    *, rounds: int = 20, chosen: Callable[[str], bool] = lambda name: True
) -> Iterator[DiagnosisResult]:
    """Time each workload without monitoring, and with all layers measured every 20 steps.

    >>> list(run_diagnosis(chosen=print))  # prints the names and selects none
    diagnosis, digits CNN
    diagnosis, 28x28 CNN
    []
    >>> for result in run_diagnosis():  # doctest: +SKIP
    ...     print(result.name, result.added)

    The second example is skipped in the tests: it takes one or two minutes.
    """
    for workload in CONV_NETS:
        if chosen(f"diagnosis, {workload.name}"):
            yield _run(workload, rounds)


def _run(workload: Workload, rounds: int) -> DiagnosisResult:
    data = workload.data()
    rows = np.arange(STEPS * workload.batch_size) % len(data.inputs)
    data = data._replace(inputs=data.inputs[rows], targets=data.targets[rows])
    batch = jax.ShapeDtypeStruct((workload.batch_size, *data.inputs.shape[1:]), jnp.float32)
    model = nnx.eval_shape(lambda: workload.model(nnx.Rngs(0)))
    watch = make_watch(model, batch, losses.cross_entropy, every=EVERY, steps=STEPS)
    without = EngineTraining(workload, workload.runs, data=data)
    diagnosed = EngineTraining(workload, workload.runs, data=data, watch=watch)
    timings = interleaved(
        {"not diagnosed": without.sample, f"diagnosed every {EVERY}th step": diagnosed.sample},
        rounds,
    )
    return DiagnosisResult(
        f"diagnosis, {workload.name}",
        workload.runs,
        diagnosed.compile_seconds,
        without.compile_seconds,
        milliseconds(timings),
    )
