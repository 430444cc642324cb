"""Diagnose, summarize and try remedies on a study's first combination."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn.analysis.labels import label
from jcnn.data import sample_indices
from jcnn.data.on_disk import is_on_disk
from jcnn.diagnosis import (
    Diagnosis,
    Examination,
    LearningRateSearch,
    MeanFieldPrediction,
    Summary,
    find_learning_rate,
    mean_field,
    summarize,
)
from jcnn.diagnosis.examination import with_singular_values
from jcnn.errors import UsageError
from jcnn.study.job import Job
from jcnn.study.prepare import Prepared
from jcnn.study.study import Study
from jcnn.training.run import normalize

# The examples among which a learning rate is searched, if they are in a file.
_FROM_FILE = 2**12


class Tried(NamedTuple):
    """The outcome of a change: the verdict at initialization and the test metric after training.

    `change` is empty for the unchanged combination. `mean` is over seeds at the best learning rate;
    `error` is the reason if a change could not be trained.
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
        """A sample of training examples, normalized, and their targets."""
        if examples < 2:
            raise UsageError(f"examples={examples}; expected at least 2")
        data = self.prepared.data
        chosen = sample_indices(data.targets, examples)
        x = normalize(jnp.asarray(data.inputs[chosen]), data)
        return x, jnp.asarray(data.targets[chosen])


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
    """Diagnose the study's first combination at its first seed, on a sample of training examples.

    The sample is that of `jcnn.data.sample_indices`: equally many examples of each class.
    Updates are those of the study's optimizer at its first learning rate. Raises UsageError if the
    combination cannot be built.
    """
    first = _first(study)
    x, targets = first.batch(examples)
    optimizer = first.job.optimizer(0, study.learning_rates[0])
    examine = Examination(first.model, x, targets, first.prepared.task.loss, optimizer=optimizer)
    diagnosis = examine(first.model)
    return with_singular_values(diagnosis, first.model, x) if singular_values else diagnosis


def predict_first(study: Study, *, examples: int = 256) -> MeanFieldPrediction:
    """The mean-field prediction for the layers that `diagnose_first` measures."""
    first = _first(study)
    return mean_field(first.model, *first.batch(examples), first.prepared.task.loss)


def summarize_first(study: Study) -> Summary:
    """The layers and costs of the study's first combination."""
    first = _first(study)
    shape = first.prepared.dataset.input_shape
    return summarize(first.model, shape, batch_size=first.job.batch_size)


def find_rate_first(study: Study, **numbers: Any) -> LearningRateSearch:
    """The learning rate for the study's first combination, its optimizer and batches.

    `numbers` are keyword arguments of `jcnn.diagnosis.find_learning_rate`.
    """
    first = _first(study)
    data = first.prepared.data
    rows: Any = slice(None)
    if is_on_disk(data.inputs):
        rows = sample_indices(data.targets, min(len(data.inputs), _FROM_FILE))
    return find_learning_rate(
        first.model,
        normalize(jnp.asarray(data.inputs[rows]), data),
        data.targets[rows],
        first.prepared.task.loss,
        optimizer=first.job.optimizer_at(0),
        batch_size=first.job.batch_size,
        seed=study.seed_values[0],
        **numbers,
    )


def try_remedies(study: Study, diagnosis: Diagnosis) -> list[Tried]:
    """Train the study's first combination unchanged and with each remedy for the first verdict."""
    changes: list[dict[str, str]] = [{}]
    now = study.combinations[0].names()
    changes += [dict(change) for change in diagnosis.changes if not change.items() <= now.items()]
    return [_try(study, change) for change in changes]


def _try(study: Study, change: Mapping[str, str]) -> Tried:
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
    return Tried(change, verdict, row.mean, result.metric.show(row.mean), "")


def change_label(change: Mapping[str, str]) -> str:
    """A change as text."""
    return label(change) or "unchanged"
