"""A combination of a study diagnosed before it is trained, and its remedies tried."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn.analysis.metric import at_end
from jcnn.diagnosis import (
    Diagnosis,
    Examination,
    FoundRate,
    Prediction,
    Summary,
    find_learning_rate,
    predict,
    summarize,
)
from jcnn.diagnosis.examination import with_singular_values
from jcnn.diagnosis.remedies import CHANGES
from jcnn.errors import UsageError
from jcnn.study.factors import told
from jcnn.study.job import Job
from jcnn.study.study import Prepared, Study
from jcnn.training.run import normalize


class Tried(NamedTuple):
    """What a change came to: the verdict at initialization, and the test metric after training.

    `change` is empty for the combination as it was. `mean` is over seeds at the best rate; `error`
    says why a change could not be trained.
    """

    change: Mapping[str, str]
    verdict: str
    mean: float
    shown: str
    error: str


class _First(NamedTuple):
    """A study's first combination at its first seed."""

    job: Job
    prepared: Prepared
    model: nnx.Module

    def batch(self, examples: int) -> tuple[Array, Array]:
        """Training examples, normalized, and their targets."""
        if examples < 2:
            raise UsageError(f"examples={examples}; expected at least 2")
        data = self.prepared.data
        x = normalize(jnp.asarray(data.inputs[:examples]), data)
        return x, jnp.asarray(data.targets[:examples])


def _first(study: Study) -> _First:
    prepared = study.prepare()
    job = study.jobs(prepared)[0]
    job.check()
    if job.failures:
        raise UsageError(next(iter(job.failures.values())))
    return _First(job, prepared, job.model(0, study.seed_values[0]))


def diagnose_first(
    study: Study, *, examples: int = 256, singular_values: bool = False
) -> Diagnosis:
    """Diagnose the study's first combination at its first seed, on training examples.

    Updates are judged by the study's optimizer at its first learning rate. Raises UsageError where
    the combination cannot be built.
    """
    first = _first(study)
    x, targets = first.batch(examples)
    optimizer = first.job.optimizer(0, study.learning_rates[0])
    found = Examination(first.model, x, targets, first.prepared.task.loss, optimizer=optimizer)(
        first.model
    )
    return with_singular_values(found, first.model, x) if singular_values else found


def predict_first(study: Study, *, examples: int = 256) -> Prediction:
    """What theory predicts for the layers that `diagnose_first` measures."""
    first = _first(study)
    return predict(first.model, *first.batch(examples), first.prepared.task.loss)


def summarize_first(study: Study) -> Summary:
    """The layers and costs of the study's first combination."""
    first = _first(study)
    shape = first.prepared.dataset.input_shape
    return summarize(first.model, shape, batch_size=first.job.batch_size)


def find_rate_first(study: Study, **numbers: Any) -> FoundRate:
    """The learning rate for the study's first combination, its optimizer and batches.

    `numbers` are those of `jcnn.diagnosis.find_learning_rate`.
    """
    first = _first(study)
    return find_learning_rate(
        first.model,
        *first.batch(len(first.prepared.data.inputs)),
        first.prepared.task.loss,
        optimizer=first.job.optimizer_at(0),
        batch_size=first.job.batch_size,
        seed=study.seed_values[0],
        **numbers,
    )


def try_remedies(study: Study, found: Diagnosis) -> list[Tried]:
    """Train the study's first combination as it is and with each remedy of what was found."""
    changes: list[dict[str, str]] = [{}]
    for verdict in found.verdicts[:1]:
        now = study.combinations[0].names()
        changes += [dict(one) for one in CHANGES[verdict.kind] if not one.items() <= now.items()]
    return [_tried(study, change) for change in changes]


def _tried(study: Study, change: Mapping[str, str]) -> Tried:
    factors = {name: {level.name: level.value} for name, (level, *_) in study.levels.items()}
    changed = replace(study, factors=factors | {name: [value] for name, value in change.items()})
    try:
        verdict = diagnose_first(changed).verdict
        result = changed.run()
    except UsageError as error:
        return Tried(change, "", math.nan, "", str(error))
    if result.failures:
        return Tried(change, verdict, math.nan, "", next(iter(result.failures.values())))
    (row,) = result.ranking()
    shown = at_end(result.metric, result.higher_is_better).show(row.mean)
    return Tried(change, verdict, row.mean, shown, "")


def told_change(change: Mapping[str, str]) -> str:
    """A change in words."""
    return told(change) or "as it is"
