"""The main job: train combinations over seeds and learning rates, as a few programs."""

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from jcnn import data as datasets
from jcnn import engine
from jcnn.analysis.metric import parse_metric
from jcnn.analysis.result import Result
from jcnn.study import toml
from jcnn.study.allocation import Allocation
from jcnn.study.best_model import best_model
from jcnn.study.costs import model_costs
from jcnn.study.grid import full_grid
from jcnn.study.job import Job
from jcnn.study.plan import Plan
from jcnn.study.prepare import Prepared, prepare
from jcnn.study.progress import Progress, progress
from jcnn.study.runner import OutOfTimeError, Runner
from jcnn.study.storage.directory import Memory, StudyDirectory, environment
from jcnn.study.storage.ledger import NAME as LEDGER
from jcnn.study.trials import Trials


@dataclass
class Study(Plan):
    """Which combination trains best? Factors, learning rates and seeds on one data set and model.

    `data` is a name (`jcnn data list`), a path, a `jcnn.data.Dataset`, arrays `(inputs, targets)`
    or `(inputs, targets, test_inputs, test_targets)`, a data set of another library, or `(train,
    test)` or `(train, validation, test)` with one of these or a pair of arrays each
    (`jcnn.data.from_source`). `resize` brings the images of a folder to one size. `model` is a
    name, `"module:attribute"`, or any callable that builds an `nnx.Module`; it is called with
    `rngs`, with `input_shape` and `outputs` if it takes them, and with the model's factors.
    `factors` map a keyword to its values: names, Python objects, or a mapping of names to objects.
    `optimizer`, `schedule`, `augmentation`, `batch_size`, `momentum` and `weight_decay` may be
    factors too.

    `points` replaces `factors` where there are too many combinations: a list of mappings of the
    same factors to one value each (see `jcnn.study.designs`). A point may have a `learning_rate`
    of its own, which replaces `learning_rates` for it.

    `optimizer` takes any Optax factory (`optax.lion`, `functools.partial(optax.adam, b1=0.95)`; see
    `jcnn.training.optimizers.adapt`), and `schedule` any Optax schedule or factory of one
    (`jcnn.training.schedules.learning_rate_schedule`), which multiplies each learning rate.

    `augmentation` changes training images inside the program: "shift:2", "flip", "cutout:4",
    "randaugment:9", "mixup:0.2", "cutmix:1", several joined by a plus sign, or a callable
    `(key, images) -> images`.
    `dtype` ("bfloat16") is the dtype in which a model that takes it computes; parameters,
    statistics and losses stay float32. `data_memory` is the number of bytes of examples that a
    device may hold before examples are streamed to it (default: half of its memory). With
    `diagnose=n`, the signals and gradients of each layer are measured at every `n`-th step of an
    epoch, from the first (see `Result.why`).

    `ema_decay` evaluates the moving average of the weights, and `accumulation_steps` averages the
    gradients of that many batches for one update. With `patience`, a run keeps the weights of the
    epoch in which the metric was best on validation data, and stops after so many epochs without a
    better one; these weights are tested, compared and kept. `warm_start` is a file of weights, or a
    function of the model that sets them (`jcnn.export.load_weights`).

    The model is a function or class that returns a module of Flax NNX, Linen or Equinox, or a pair
    `(init, apply)`; `call` and `output` say how it is called, and which of its outputs is used, as
    in `jcnn.adapt`. A module that is built already starts from its present weights with every seed.

    `loss(outputs, targets)` returns one value per example, and so do `metrics`, functions by name;
    of names, "f1", "balanced_accuracy" and "top5" are known, and a `jcnn.training.TaskMetric`
    stands for what is no mean over examples. Runs are compared by `metric`, one of them (by default
    the first of `metrics`, or that of the task). With a loss of one's own, outputs may have any
    shape that it takes.

    Seed s gives the same initial key, data order, augmentation and validation split in every
    combination. The learning rate is chosen per combination on validation data, which is
    `validation_fraction` of the training data. With `extend_learning_rates`, a combination whose
    best learning rate is the smallest or largest tried gets further ones beyond it, one at a time.

    Trainings go where the answer is undecided (`jcnn.study.allocation.Allocation`): learning rates
    that are behind after one seed and after three are dropped, and combinations that are ruled out
    get no more seeds, while the others get up to 40. The study ends when one combination is left,
    or when choosing the first costs no more than `within`, in percentage points of an accuracy, or
    the units of another metric. By default, it takes no more trainings than the full grid of
    `seeds` would, and for an accuracy, `within` is the spread that independent errors on the test
    examples alone would cause: more trainings find differences that other test examples may
    reverse. Other limits are `max_runs`, a number of trainings, and `budget`, a time in seconds or
    as "10m". The first that is reached ends the study. For long trainings,
    `halving_epochs` compares the learning rates after so many epochs, and trains only the better
    two fifths to the end. With `full_grid`, every combination is trained at every learning rate
    with every seed.

    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=2, epochs=1)
    >>> study.run().metric.name
    'accuracy'
    """

    def run(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        metric: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Train what is missing, and return the result; with `directory`, it is stored there.

        The result is ranked by `metric` (see `Result.by`); what is stored does not depend on it.
        Every finished run is written to the directory's ledger at once, and a run that is there is
        not trained again. A combination that cannot be trained is in the result's `failures`.

        Raises ValueError if no combination can be trained (before any training), OSError if the
        directory cannot be written.
        """
        started, compiled = time.perf_counter(), engine.compilations()
        prepared = self.prepare()
        dataset, task, _ = prepared
        if metric is not None:
            # Before anything is trained.
            parse_metric(metric, task.metric, task.higher_is_better, task.directions())
        empty = Result(
            self.describe(dataset),
            task.metric,
            task.higher_is_better,
            [combination.names() for combination in self.combinations],
            test_examples=len(dataset.test_inputs),
            metrics=task.directions(),
            trainer=partial(best_model, copy.copy(self), directory=directory),
        )
        keep, trials = self._open(directory, self.all_jobs(prepared), empty)
        if dataset.remarks:
            keep.notes.append(f"{dataset.name}: {dataset.remarks}")
        ran = environment() | {"runs_loaded": len(trials.outcomes), "runs_trained": 0}
        costs = model_costs([group for group in trials.groups if not group.short])
        empty = replace(empty, environment=ran, notes=keep.notes, costs=costs)
        if isinstance(keep, StudyDirectory):
            keep.write_study(empty.study, self.unreadable())
            if len(trials.outcomes) < len(trials.wanted):
                keep.write_environment(ran)
        result = trials.result(empty)

        def show(job: Job, runs_done: float) -> None:
            if on_progress is not None:
                ranked = result if metric is None else result.by(metric)
                seconds = time.perf_counter() - started
                most = self.most_runs
                on_progress(progress(ranked, trials, job, runs_done, seconds, most))

        deadline = None if self.budget is None else started + self.budget
        runner = Runner(self, trials, keep, show, deadline)
        try:
            for _ in runner.run():
                ran["runs_trained"] = runner.trained
                ran["runs_loaded"] = len(trials.outcomes) - runner.trained
                result = trials.result(empty)
        except OutOfTimeError:
            trials.update()
            keep.notes.append(self._stopped(trials))
        ran["runs_trained"] = runner.trained
        ran["runs_loaded"] = len(trials.outcomes) - runner.trained
        result = trials.result(empty)  # with what other processes have trained
        if not result.records:
            reasons = [*result.failures.values(), *keep.notes[::-1]]
            raise ValueError(reasons[0])
        ran["seconds"] = round(time.perf_counter() - started, 2)
        ran["compilations"] = engine.compilations().since(compiled)._asdict()
        if isinstance(keep, StudyDirectory):
            keep.write_result(result)
        return result if metric is None else result.by(metric)

    def prepare(self, *, with_validation: bool = False) -> Prepared:
        """Load and split the data. Raises ValueError if it does not fit the task.

        With `with_validation`, the validation examples are training examples.
        """
        return prepare(self, with_validation=with_validation)

    def jobs(self, prepared: Prepared) -> list[Job]:
        """The study's groups with the runs of the full grid."""
        return full_grid(self, prepared)

    def all_jobs(self, prepared: Prepared) -> list[Job]:
        """The groups that `run` trains: those of short runs, if there are any, and `jobs`."""
        jobs = self.jobs(prepared)
        if self.halving_epochs is None:
            return jobs
        plan = replace(self, epochs=self.halving_epochs, halving_epochs=None)
        return [*(Job(plan, *prepared, members, short=True) for members in self.groups), *jobs]

    def describe(self, dataset: datasets.Dataset | None = None) -> dict[str, Any]:
        """The study as its file holds it: names and numbers only."""
        return toml.describe(self, dataset)

    def unreadable(self) -> list[str]:
        """The parts that a study file cannot restore, because they have no name."""
        return toml.unreadable(self)

    def _open(
        self, directory: str | os.PathLike[str] | None, groups: Sequence[Job], empty: Result
    ) -> tuple[Memory | StudyDirectory, Trials]:
        """The storage of the study, and its runs there, with models checked.

        A new directory is made only after the models have been checked.
        """

        def trials_in(keep: Memory | StudyDirectory) -> Trials:
            trials = Trials(groups, keep, Allocation(self, empty))
            trials.check()
            return trials

        memory = Memory()
        if directory is None:
            return memory, trials_in(memory)
        if not (Path(directory) / LEDGER).exists():
            trials_in(memory)
        keep = StudyDirectory(directory)
        return keep, trials_in(keep)

    def _stopped(self, trials: Trials) -> str:
        missing = len(trials.wanted) - len(trials.outcomes)
        return (
            f"stopped after the budget of {self.budget:g} s: {len(trials.outcomes)} runs have "
            f"finished, {missing} have begun or are next; run it again to go on"
        )
