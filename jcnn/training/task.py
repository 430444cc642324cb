"""Tasks: a loss per example, and the metrics by which networks are compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
from jax import Array

from jcnn import losses
from jcnn.errors import nearest
from jcnn.training.metrics import TaskMetric, as_metric


@dataclass(frozen=True)
class Task:
    """A loss and metrics: functions of `(outputs, targets)` that return one value per example.

    A metric may also be a `TaskMetric`, for those that are no means over examples.

    `metric` names the metric by which runs are compared, and `higher_is_better` is its direction.
    """

    name: str
    metric: str
    higher_is_better: bool
    loss: Callable[[Array, Array], Array]
    metrics: Mapping[str, Callable[[Array, Array], Array] | TaskMetric]

    def directions(self) -> dict[str, bool]:
        """Return whether larger values are better, for each metric."""
        smaller = ("loss", "error")
        return {
            name: name not in smaller and as_metric(metric).higher_is_better
            for name, metric in self.metrics.items()
        } | {self.metric: self.higher_is_better}


def _accuracy(logits: Array, labels: Array) -> Array:
    return jnp.where(jnp.argmax(logits, axis=-1) == labels, jnp.float32(1), jnp.float32(0))


def _binary_loss(logits: Array, labels: Array) -> Array:
    return losses.binary_cross_entropy(logits[..., 0], labels)


def _binary_accuracy(logits: Array, labels: Array) -> Array:
    return jnp.where((logits[..., 0] > 0) == (labels == 1), jnp.float32(1), jnp.float32(0))


def _squared_error(outputs: Array, targets: Array) -> Array:
    return losses.mean_squared_error(outputs, _as_outputs(targets, outputs))


def _absolute_error(outputs: Array, targets: Array) -> Array:
    difference = jnp.abs(outputs - _as_outputs(targets, outputs))
    return jnp.mean(difference.astype(jnp.float32), axis=-1)


def _as_outputs(targets: Array, outputs: Array) -> Array:
    return targets.reshape(outputs.shape).astype(outputs.dtype)


def classification(*, label_smoothing: float = 0.0) -> Task:
    """Return the task of classification: softmax cross-entropy and accuracy.

    An example is correct if its largest logit is that of its label. Label smoothing applies to the
    training loss alone.

    >>> classification().metric, sorted(classification().metrics)
    ('accuracy', ['accuracy', 'loss'])
    """

    def loss(logits: Array, labels: Array) -> Array:
        return losses.cross_entropy(logits, labels, label_smoothing=label_smoothing)

    def plain(logits: Array, labels: Array) -> Array:
        return losses.cross_entropy(logits, labels)

    return Task("classification", "accuracy", True, loss, {"loss": plain, "accuracy": _accuracy})


def binary() -> Task:
    """Return the task of two classes with one logit: sigmoid cross-entropy and accuracy.

    A positive logit means class 1.

    >>> task = binary()
    >>> float(task.metrics["accuracy"](jnp.array([[2.0], [-1.0]]), jnp.array([1, 1])).mean())
    0.5
    """
    metrics = {"loss": _binary_loss, "accuracy": _binary_accuracy}
    return Task("binary", "accuracy", True, _binary_loss, metrics)


def regression() -> Task:
    """Return the task of regression: mean squared error.

    The metric `error` is the mean absolute error, in the units of the targets.

    >>> task = regression()
    >>> task.metric, task.metrics["error"](jnp.array([[2.0]]), jnp.array([5.0])).tolist()
    ('error', [3.0])
    """
    metrics = {"loss": _squared_error, "error": _absolute_error}
    return Task("regression", "error", False, _squared_error, metrics)


def with_own(
    task: Task,
    loss: Callable[[Array, Array], Array] | None = None,
    metrics: Mapping[str, Callable[[Array, Array], Array] | TaskMetric] | None = None,
    metric: str | None = None,
) -> Task:
    """Return a task with another loss, further metrics, and another metric to compare by.

    `metric` is by default the first of `metrics`, or that of the task, or the loss if that is
    replaced and there are no other metrics. The loss is always a metric, too.

    Raises UsageError if `metric` is none of them.

    >>> def absolute(outputs, targets):
    ...     return jnp.abs(outputs[:, 0] - targets)
    >>> task = with_own(regression(), metrics={"absolute": TaskMetric(absolute, False)})
    >>> task.metric, task.higher_is_better, sorted(task.metrics)
    ('absolute', False, ['absolute', 'error', 'loss'])
    """
    known: dict[str, Any] = dict(task.metrics) if loss is None else {"loss": loss}
    if (
        loss is not None
        and not metrics
        and metric in (None, "accuracy")
        and ("accuracy" in task.metrics)
    ):
        known["accuracy"] = task.metrics["accuracy"]
    known |= metrics or {}
    chosen = metric or next(iter(metrics or ()), task.metric if task.metric in known else "loss")
    if chosen not in known:
        raise nearest("metric", chosen, [*known])
    better = as_metric(known[chosen]).higher_is_better
    if chosen not in (metrics or ()):
        better = chosen == task.metric and task.higher_is_better
    return replace(
        task, metric=chosen, higher_is_better=better, loss=loss or task.loss, metrics=known
    )
