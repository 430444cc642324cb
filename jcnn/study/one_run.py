"""One run of a study trained by itself, for its model rather than its numbers."""

from collections.abc import Callable
from dataclasses import replace

from flax import nnx

from jcnn import engine
from jcnn.names import UsageError
from jcnn.study.study import Prepared, Study


def train_one(
    study: Study,
    combination: int,
    learning_rate: float,
    *,
    seed: int | None = None,
    prepared: Prepared | None = None,
    on_epoch: Callable[[int, nnx.Module], None] | None = None,
) -> nnx.Module:
    """Train one combination of a study, by its index, at one rate; its model as it is evaluated.

    `seed` is the study's first by default. `on_epoch(epochs, model)` sees the model before the
    first epoch and after each. The run is the study's own, though a program for one run alone may
    round differently from one for many. Inputs are to be normalized as the study does: by
    `jcnn.training.normalize(inputs, prepared.data)`.

    Raises UsageError where the combination cannot be trained.

    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> row = study.run().ranking()[0]
    >>> model = train_one(study, row.combination, row.learning_rate)
    >>> type(model).__name__
    'Sequential'
    """
    study = replace(study, diagnose=None)
    prepared = prepared or study.prepare()
    seed = study.seed_values[0] if seed is None else seed
    jobs = study.jobs(prepared, {combination: [learning_rate]})
    job = next(one for one in jobs if combination in one.indices)
    job = job.only(combination, seed)
    job.check()
    if not job.runs:
        raise UsageError(job.failures.get(combination, f"seed {seed} is none of the study's"))
    training = engine.Training(job.compile())
    if on_epoch is not None:
        on_epoch(0, training.model(0))
    epochs = 0
    for _ in training.run():
        if on_epoch is not None and training.epochs > epochs:
            epochs = training.epochs
            on_epoch(epochs, training.model(0))
    return training.model(0)
