"""What following every layer through training adds to a train step."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcnn import losses
from jcnn.bench.clock import interleaved, milliseconds
from jcnn.bench.steps import WORKLOADS, EngineTraining, Workload
from jcnn.diagnosis.monitor import make_watch

# Every so manyth step is measured, and an epoch has so many.
EVERY, STEPS = 20, 40


@dataclass
class DiagnosisResult:
    """Milliseconds a step and model without and with the measurement, and what it adds."""

    name: str
    runs: int
    compile_seconds: float
    compile_seconds_without: float
    milliseconds: dict[str, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"added": self.added}

    @property
    def added(self) -> float:
        """The added time as a share of a step's."""
        return self.milliseconds[f"diagnosed every {EVERY}th step"]["median"] / self.best() - 1

    def best(self) -> float:
        """Milliseconds a step and model without it."""
        return self.milliseconds["not diagnosed"]["median"]

    def summary(self) -> str:
        """What it adds, in a line."""
        return (
            f"{self.added:+.1%} a step; compiled in {self.compile_seconds:.1f} s instead of "
            f"{self.compile_seconds_without:.1f} s"
        )


def run_diagnosis(
    *, rounds: int = 20, chosen: Callable[[str], bool] = lambda name: True
) -> Iterator[DiagnosisResult]:
    """Time each workload without and with its layers being measured at every 20th step.

    >>> list(run_diagnosis(chosen=print))  # shows the names, and chooses none
    diagnosis, digits CNN
    diagnosis, 28x28 CNN
    []
    >>> for result in run_diagnosis():  # doctest: +SKIP
    ...     print(result.name, result.added)

    The second example is not run with the others: it takes one or two minutes.
    """
    for workload in WORKLOADS:
        if chosen(f"diagnosis, {workload.name}"):
            yield _run(workload, rounds)


def _run(workload: Workload, rounds: int) -> DiagnosisResult:
    data = workload.data()
    places = np.arange(STEPS * workload.batch_size) % len(data.inputs)
    data = data._replace(inputs=data.inputs[places], targets=data.targets[places])
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
