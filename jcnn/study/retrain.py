"""Train runs of a study once more, to obtain their models."""

from collections.abc import Callable, Sequence

import jax
from flax import nnx

from jcnn import engine
from jcnn.errors import UsageError
from jcnn.study.allocation import Wanted
from jcnn.study.grid import full_grid
from jcnn.study.job import Job
from jcnn.study.plan import Plan
from jcnn.study.prepare import Prepared, prepare


def train_one(
    study: Plan,
    combination: int,
    learning_rate: float,
    *,
    seed: int | None = None,
    prepared: Prepared | None = None,
    on_epoch: Callable[[int, nnx.Module], None] | None = None,
) -> nnx.Module:
    """Train one combination of a study, given by its index, and return the model for evaluation.

    `seed` is the study's first seed by default. `on_epoch(epochs, model)` is called before the
    first epoch and after each epoch. The run is the same as in the study: bit for bit after a race
    on a CPU, and otherwise except that a program for a single run may round differently from one
    for many. The model expects inputs normalized by
    `jcnn.training.normalize(inputs, prepared.data)`.

    Raises UsageError if the combination cannot be trained, or if the study trains no such seed.

    >>> from jcnn.study import Study
    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> row = study.run().ranking()[0]
    >>> model = train_one(study, row.combination, row.learning_rate)
    >>> type(model).__name__
    'Sequential'
    """
    seeds = study.seed_values[:1] if seed is None else [seed]
    _, start = retraining(study, combination, learning_rate, seeds, prepared)
    training = start()
    if on_epoch is not None:
        on_epoch(0, training.model(0))
    epochs = 0
    for _ in training.run():
        if on_epoch is not None and training.epochs > epochs:
            epochs = training.epochs
            on_epoch(epochs, training.model(0))
    return training.model(0)


def train_seeds(
    study: Plan,
    combination: int,
    learning_rate: float,
    *,
    prepared: Prepared | None = None,
) -> list[nnx.Module]:
    """Train one combination of a study from each of its seeds, as one program.

    The models are in the order of the study's seeds. See `train_one`.

    >>> from jcnn.study import Study
    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=2, epochs=1)
    >>> len(train_seeds(study, 0, 0.1))
    2
    """
    seeds = study.seed_values
    _, start = retraining(study, combination, learning_rate, seeds, prepared)
    training = start()
    for _ in training.run():
        pass
    return [training.model(run) for run in range(len(seeds))]


def retraining(
    study: Plan,
    combination: int,
    learning_rate: float,
    seeds: Sequence[int],
    prepared: Prepared | None = None,
) -> tuple[Job, Callable[[], engine.Training]]:
    """Return the job of a combination's runs, and a function that compiles and starts them."""
    unknown = sorted(set(seeds) - set(study.all_seeds))
    if unknown:
        raise UsageError(f"seed {unknown[0]} is not one of the study's seeds")
    jobs = full_grid(study, prepared or prepare(study))
    group = next(job for job in jobs if combination in job.indices)
    # On a CPU, rows without a run cost nothing, so the programs of a race serve once more.
    room = study.runs_at_once(group.members) if jax.default_backend() == "cpu" else None
    if room is None:
        group = group.only(combination)
    else:
        seed = study.seed_values[0]
        group.wanting([Wanted(each, learning_rate, seed) for each in group.indices]).check()
    job = group.wanting([Wanted(combination, learning_rate, seed) for seed in seeds])
    job.check()
    if not job.runs:
        raise UsageError(job.failures[combination])
    capacity = None if room is None else max(room, len(job.runs))
    return job, lambda: engine.Training(job.compile(capacity, measured=False))
