"""Metrics of a task: what is summed over examples, and the number that follows from the means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Function = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class TaskMetric:
    """A metric over a set of examples.

    `values(outputs, targets)` returns one number per example, `(batch,)`, or several,
    `(batch, columns)`, whose means over all examples `number` turns into the metric. By default it
    is the mean itself. `columns` is their number.

    Means of training are taken over the steps of an epoch, each with the weights of that step.

    >>> import jax.numpy as jnp
    >>> rate = TaskMetric(lambda outputs, targets: outputs[:, 0] > 0, higher_is_better=False)
    >>> rate.of(jnp.array([[1.0], [-1.0]]), jnp.array([0, 0])).tolist()
    0.5
    """

    values: Function
    higher_is_better: bool = True
    columns: int = 1
    number: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for several columns without a `number`."""
        if self.columns > 1 and self.number is None:
            raise ValueError(f"columns={self.columns} need `number`, a function of their means")

    def per_example(self, outputs: Array, targets: Array) -> Array:
        """Return the values as float32 `(batch, columns)`.

        Raises ValueError if they have another shape.
        """
        values = jnp.asarray(self.values(outputs, targets)).astype(jnp.float32)
        examples = len(targets)
        expected = (examples,) if self.columns == 1 else (examples, self.columns)
        if values.shape not in (expected, (examples, self.columns)):
            raise ValueError(
                f"it returns shape {values.shape}; expected one value per example, {expected}: "
                "take means over other axes than the examples"
            )
        return values.reshape(examples, self.columns)

    def of_means(self, means: Array) -> Array:
        """Return the metric, given the means of the columns."""
        return means[0] if self.number is None else self.number(means)

    def of(self, outputs: Array, targets: Array) -> Array:
        """Return the metric of one batch."""
        return self.of_means(jnp.mean(self.per_example(outputs, targets), axis=0))


def as_metric(metric: TaskMetric | Function) -> TaskMetric:
    """Return a metric as a `TaskMetric`: the mean of a function is better if it is larger.

    >>> as_metric(lambda outputs, targets: targets).higher_is_better
    True
    """
    return metric if isinstance(metric, TaskMetric) else TaskMetric(metric)


def f1(classes: int) -> TaskMetric:
    """Return the macro-averaged F1 score: the mean over classes of `2 TP / (2 TP + FP + FN)`.

    Classes that are neither predicted nor occur do not count, as in scikit-learn's `f1_score` with
    `average="macro"`. The prediction is the largest of the outputs `(batch, classes)`.

    >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(float(f1(2).of(logits, jnp.array([0, 1, 1]))), 3)
    0.667
    """

    def score(means: Array) -> Array:
        both, predicted, actual = means.reshape(3, classes)
        total = predicted + actual
        counts = total > 0
        scores = jnp.where(counts, 2 * both / jnp.where(counts, total, 1), 0)
        return jnp.sum(scores) / jnp.sum(counts.astype(jnp.float32))

    return TaskMetric(_counts(classes), columns=3 * classes, number=score)


def balanced_accuracy(classes: int) -> TaskMetric:
    """Return the mean over the classes that occur of the share that is recognized.

    This is scikit-learn's `balanced_accuracy_score`.

    >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> float(balanced_accuracy(2).of(logits, jnp.array([0, 0, 1, 1])))
    0.75
    """

    def score(means: Array) -> Array:
        both, _, actual = means.reshape(3, classes)
        occurs = actual > 0
        recalls = jnp.where(occurs, both / jnp.where(occurs, actual, 1), 0)
        return jnp.sum(recalls) / jnp.sum(occurs.astype(jnp.float32))

    return TaskMetric(_counts(classes), columns=3 * classes, number=score)


def top(k: int) -> TaskMetric:
    """Return the share of examples whose label is among the `k` largest outputs.

    Of equal outputs, those of smaller labels come first.

    >>> float(top(2).of(jnp.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), jnp.array([1, 2])))
    0.5
    """

    def hit(logits: Array, labels: Array) -> Array:
        _, best = jax.lax.top_k(logits, min(k, logits.shape[-1]))
        return jnp.any(best == labels[:, None], axis=-1)

    return TaskMetric(hit)


def top5(classes: int) -> TaskMetric:
    """Return `top(5)`, for any number of classes.

    >>> top5(10).columns
    1
    """
    del classes
    return top(5)


def _counts(classes: int) -> Function:
    """Per example and class: predicted and actual, predicted, actual."""

    def counts(logits: Array, labels: Array) -> Array:
        predicted, actual = (
            jax.nn.one_hot(each, classes, dtype=jnp.float32)
            for each in (jnp.argmax(logits, axis=-1), labels)
        )
        return jnp.concatenate([predicted * actual, predicted, actual], axis=-1)

    return counts


def columns_of(metrics: Any) -> int:
    """Return the number of columns of all metrics of a task.

    >>> columns_of({"loss": lambda outputs, targets: targets, "f1": f1(4)})
    13
    """
    return sum(as_metric(metric).columns for metric in metrics.values())
