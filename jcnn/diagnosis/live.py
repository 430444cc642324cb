"""`jcnn.watch`: the layers of a network, measured in one's own training loop."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from jcnn.adapters import adapt, is_network, network_and_batch
from jcnn.diagnosis.diagnosis import Diagnosis
from jcnn.diagnosis.examination import Examination
from jcnn.diagnosis.history import FIGURES, LayerHistory, StepDiagnosis, known_facts
from jcnn.diagnosis.measure import LayerFigures

# What takes a row of figures by name, and the step: `run.log` of W&B, `mlflow.log_metrics`, or an
# object that has the method `add_scalar(name, value, step)`, as a SummaryWriter of TensorBoard.
Tracker = Callable[[dict[str, float], int], Any] | Any


def watch(
    model: Any,
    *batch: Any,
    loss: Callable[..., Array] | None = None,
    call: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | str | int | None = None,
    every: int = 20,
    optimizer: Any = None,
    to: Sequence[Tracker] = (),
    on_change: Callable[[str], Any] | None = print,
) -> "LayerWatch":
    """Return a watch on the layers of `model`, to be called in a training loop.

    The network and the batch are those of `jcnn.diagnose`; a Linen module or a function is watched
    by its parameters, `watch(step, params, opt_state)`.

    `watch(step, model, optimizer)` diagnoses the model at every `every`-th step, as
    `jcnn.diagnose` does, on the same batch `x`, `labels`. Every row of figures goes to each of
    `to`: a function of the row (a dictionary such as ``{"gradient/conv1": 0.03}``) and the step, as
    `run.log` of Weights & Biases and `mlflow.log_metrics` are, or a SummaryWriter of TensorBoard.
    `on_change` gets a line of text when the verdict changes.

    The model is measured in the mode (training or evaluation) that it has now. `loss` and
    `optimizer` are those of `jcnn.diagnose`, and so are the errors.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 2
    >>> model = models.mlp((16,), 2, hidden=(8, 8), activation=nnx.tanh, rngs=nnx.Rngs(0))
    >>> look = watch(model, x, labels, every=10)
    >>> for step in range(20):
    ...     found = look(step, model)
    ...     if step == 5:  # what an update that is too large may do
    ...         model.dense_hidden1.kernel[...] *= 100
    step 10: healthy -> saturated at dense_hidden1
    >>> [round(row["saturated/dense_hidden1"], 2) for row in look.rows]
    [0.16, 0.98]
    """
    module, x, labels, loss = network_and_batch(model, batch, loss, call, output)
    holds_params = is_network(model)

    def rebuild(present: Any) -> nnx.Module:
        network = (present, None) if holds_params else (model, present)
        return adapt(*network, call=call, output=output)

    examination = Examination(module, x, labels, loss, optimizer=optimizer)
    return LayerWatch(examination, rebuild, every=every, to=to, on_change=on_change)


class LayerWatch:
    """A watch on a network's layers: call it in a training loop (see `jcnn.watch`).

    `measure` is for one's own compiled step: a pure function, whose figures `record` adds.
    `history` holds all figures by step, `rows` the same as dictionaries, `diagnoses` what was wrong
    at each step.
    """

    def __init__(
        self,
        examination: Examination,
        rebuild: Callable[[Any], nnx.Module] = adapt,
        *,
        every: int = 20,
        to: Sequence[Tracker] = (),
        on_change: Callable[[str], Any] | None = print,
    ) -> None:
        """`rebuild` makes a module of what the loop passes, such as its parameters."""
        if every < 1:
            raise ValueError(f"every={every}; expected at least 1")
        for tracker in to:
            if not callable(tracker) and not hasattr(tracker, "add_scalar"):
                raise ValueError(
                    f"to has a {type(tracker).__name__}; expected functions of a row and a step, "
                    "such as run.log of W&B, or SummaryWriters"
                )
        self.every = every
        self._examination = examination
        self._to, self._on_change, self._rebuild = [*to], on_change, rebuild
        self.diagnoses: list[StepDiagnosis] = []
        layers = self._examination.layers
        self.history = LayerHistory(layers=[layer.name for layer in layers], **known_facts(layers))

    def __call__(self, step: Any, model: Any, optimizer_state: Any = None) -> Diagnosis | None:
        """Diagnose the model if `step` is a multiple of `every`; otherwise return None.

        `optimizer_state` is that of Optax, or the `nnx.Optimizer`; without it, updates are those of
        the optimizer's first step, or of the `nnx.Optimizer` as it was given to the watch.
        """
        try:
            number = int(step)
        except (TypeError, ValueError):
            raise ValueError(
                f"step is a {type(step).__name__}; expected watch(step, model, optimizer_state)"
            ) from None
        if number % self.every:
            return None
        diagnosis = self._examination(self._rebuild(model), optimizer_state)
        figures = {
            name: [_number(getattr(layer, name)) for layer in diagnosis.layers] for name in FIGURES
        }
        self._add(number, figures, diagnosis)
        return diagnosis

    def measure(self, model: Any, x: Any, labels: Any, optimizer_state: Any = None) -> LayerFigures:
        """Return the figures of every layer on a batch: a pure function for one's own `jit`.

        `x` and `labels` have the shapes and types of the watch's. Pass the result to `record`
        outside of the compiled function. The model must not have been updated yet.

        Raises ValueError for another shape, and for a model of another structure.
        """
        return self._examination.measure(self._rebuild(model), x, labels, optimizer_state)

    def record(self, step: int, figures: LayerFigures) -> StepDiagnosis:
        """Add figures from `measure`, and return what is wrong at this step."""
        host = figures.to_host()
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(host.weight > 0, host.update / host.weight, 0.0)
        columns = vars(host) | {"update_ratio": ratio}
        return self._add(step, {name: columns[name].tolist() for name in FIGURES})

    @property
    def rows(self) -> list[dict[str, float]]:
        """The figures at each step, such as ``{"gradient/conv1": 0.03}``; what is NaN is left out.

        Figures are those of `jcnn.diagnosis.LayerReport`: std, saturated, dead, gradient and
        update_ratio.
        """
        return self.history.rows()

    def _add(
        self, step: int, figures: dict[str, list[float]], diagnosis: Diagnosis | None = None
    ) -> StepDiagnosis:
        before = self.diagnoses[-1].verdict if self.diagnoses else "healthy"
        rows = {name: [values] for name, values in figures.items()}
        self.history = self.history.extended([int(step)], rows)
        found = self.history.at(-1)
        if diagnosis is not None:  # knows more: ranks, and what a few more steps would show
            found = found._replace(verdicts=diagnosis.verdicts)
        self.diagnoses.append(found)
        if self._on_change is not None and found.verdict != before:
            self._on_change(f"step {step}: {before} -> {found.verdict}")
        row = self.history.rows()[-1]
        for tracker in self._to:
            if hasattr(tracker, "add_scalar"):
                for name, value in row.items():
                    tracker.add_scalar(name, value, int(step))
            else:
                tracker(row, int(step))
        return found


def _number(value: float | None) -> float:
    return math.nan if value is None else value
