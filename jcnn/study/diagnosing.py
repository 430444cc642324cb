"""A combination of a study diagnosed before it is trained, and its remedies tried."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp

from jcnn.diagnosis import Diagnosis, Examination
from jcnn.diagnosis.examination import with_singular_values
from jcnn.diagnosis.remedies import CHANGES
from jcnn.names import UsageError
from jcnn.study.measure import at_end
from jcnn.study.plan import told
from jcnn.study.study import Study
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


def diagnose_first(
    study: Study, *, examples: int = 256, singular_values: bool = False
) -> Diagnosis:
    """Diagnose the study's first combination at its first seed, on training examples.

    Updates are judged by the study's optimizer at its first learning rate. Raises UsageError where
    the combination cannot be built.
    """
    prepared = study.prepare()
    job = study.jobs(prepared)[0]
    job.check()
    if job.failures:
        raise UsageError(next(iter(job.failures.values())))
    data = prepared.data
    if examples < 2:
        raise UsageError(f"examples={examples}; expected at least 2")
    x = normalize(jnp.asarray(data.inputs[:examples]), data)
    targets = jnp.asarray(data.targets[:examples])
    model = job.model(0, study.seed_values[0])
    examination = Examination(
        model, x, targets, prepared.task.loss, optimizer=job.optimizer(0, study.learning_rates[0])
    )
    found = examination(model)
    return with_singular_values(found, model, x) if singular_values else found


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
        return Tried(change, "", float("nan"), "", str(error))
    (row,) = result.ranking()
    shown = at_end(result.metric, result.higher_is_better).show(row.mean)
    return Tried(change, verdict, row.mean, shown, "")


def told_change(change: Mapping[str, str]) -> str:
    """A change in words."""
    return told(change) or "as it is"
