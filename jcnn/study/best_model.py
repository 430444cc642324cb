"""The network of a study's best combination, with its weights."""

import os
from pathlib import Path

import numpy as np

from jcnn.analysis.labels import label
from jcnn.analysis.ranking import Row
from jcnn.analysis.result import Result
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.export import TrainedModel, set_weights
from jcnn.study.plan import Plan
from jcnn.study.prepare import prepare
from jcnn.study.retrain import retraining
from jcnn.study.storage.ledger import Ledger
from jcnn.study.storage.weights import keep_weights, read_weights


def best_model(
    study: Plan,
    result: Result,
    *,
    seed: int | None = None,
    with_validation: bool = False,
    directory: str | os.PathLike[str] | None = None,
) -> TrainedModel:
    """Return the network of the best combination of a study's result, trained at its chosen rate.

    `seed` is by default the one with the best validation value among those that were trained. With
    `with_validation`, the network is trained on the training and the validation examples together,
    as a last step after everything has been chosen. With `directory`, the study's own, the weights
    of the best run are kept there, and are not trained again.

    Raises UsageError if no combination was trained to the end, if the run cannot be trained again,
    or if code, data or versions have changed since, so that it would be another one.

    >>> from jcnn.study import Study
    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> trained = best_model(study, study.run())
    >>> trained.levels, trained.classify(np.zeros((1, 8, 8, 1), np.uint8))[0] in trained.classes
    ({'activation': 'tanh'}, True)
    """
    rows = result.answer.rows
    if not rows:
        raise UsageError("no combination was trained to the end, so there is no best network")
    row, is_best = rows[0], seed is None and result.form is None
    known = {index: each.names() for index, each in enumerate(study.combinations)}
    if known.get(row.combination) != dict(row.levels):
        raise UsageError(f"the result is not of this study, which has no {label(row.levels)}")
    seed = best_seed(result, row) if seed is None else seed
    if with_validation and study.patience is not None:
        raise UsageError(
            f"patience={study.patience} stops by validation examples, and with_validation=True "
            "trains on them; leave one of them out"
        )
    prepared = prepare(study, with_validation=with_validation)
    job, start = retraining(study, row.combination, row.learning_rate, [seed], prepared)
    place = None if directory is None else Path(directory)
    key, kept = job.runs[0].key, None
    if place is not None:
        if is_best and not Ledger(place, read_only=True).outcomes([key]):
            raise UsageError(
                f"{place} has no such run of {label(row.levels) or 'the model'}: code, data or "
                f"versions have changed since; train it again with `jcnn compare {place}`"
            )
        kept = read_weights(place, key, with_validation)
    if kept is None:
        training = start()
        for _ in training.run():
            pass
        model, test = training.model(0), training.outcomes[0].test
    else:
        model, (weights, test) = job.model(job.runs[0].member, seed), kept
        model.eval()
        set_weights(model, weights)
    dataset = prepared.dataset
    trained = TrainedModel(
        model,
        np.asarray(prepared.data.mean),
        np.asarray(prepared.data.std),
        dataset.input_shape,
        dataset.train_inputs.dtype,
        dataset.classes,
        row.levels,
        row.learning_rate,
        seed,
        test,
        dataset.name,
    )
    if place is not None and kept is None and is_best:
        keep_weights(place, trained.weights(), test, key, with_validation)
    return trained


def best_seed(result: Result, row: Row) -> int:
    """Return the seed with the best validation value at a combination's chosen learning rate.

    Test values have no part in this choice, so they remain an estimate of new examples.
    """
    badness = result.metric.badness
    name = f"validation_{result.metric.name}"

    def final(outcome: Outcome) -> float:
        known = [
            each for each in (name, f"validation_{result.task_metric}") if each in outcome.curves
        ]
        value = badness(outcome.final(known[0])) if known else np.nan
        return float("inf") if np.isnan(value) else value

    return min(result.chosen(row), key=lambda run: (final(run.outcome), run.seed)).seed
