"""The main job: train every combination over seeds and learning rates, as a few programs."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

from jcnn import data as datasets
from jcnn import engine, training
from jcnn.analysis.metric import measure
from jcnn.analysis.result import Result
from jcnn.errors import UsageError
from jcnn.study import settings
from jcnn.study.collect import check_missing, collect
from jcnn.study.factors import combinations, group, levels
from jcnn.study.job import Job
from jcnn.study.progress import Progress, progress
from jcnn.study.runner import run_jobs
from jcnn.study.storage.directory import Memory, StudyDirectory, environment
from jcnn.study.storage.ledger import NAME as LEDGER
from jcnn.study.toml import described, unreadable

DEFAULT_FACTORS: dict[str, Sequence[str]] = {
    "activation": ("sigmoid", "tanh", "relu"),
    "kernel_init": ("glorot_normal", "he_normal"),
    "normalization": ("none", "batch"),
}


class Prepared(NamedTuple):
    """A study's data, whole and split, and its task."""

    dataset: datasets.Dataset
    task: training.Task
    data: training.Data


@dataclass
class Study:
    """Which combination trains best? Factors x learning rates x seeds on one data set and model.

    `data` is a name (`jcnn data list`), a path, a `jcnn.data.Dataset`, or arrays `(inputs,
    targets)` or `(inputs, targets, test_inputs, test_targets)`. `model` is a name,
    `"module:attribute"`, or any callable that builds an `nnx.Module`; it is called with `rngs`,
    with `input_shape` and `outputs` where it takes them, and with the model's factors. `factors`
    map a keyword to its values: names, or values of one's own, or a mapping of names to them.
    `optimizer`, `schedule`, `augmentation`, `batch_size`, `momentum` and `weight_decay` may be
    factors too.

    `optimizer` takes any Optax factory (`optax.lion`, `functools.partial(optax.adam, b1=0.95)`; see
    `jcnn.training.optimizers.adapt`), and `schedule` any Optax schedule or factory of one
    (`jcnn.training.schedules.learning_rate_schedule`), which multiplies each learning rate.

    `augmentation` changes training images inside the program: "shift:2", "flip", "cutout:4",
    several joined by a plus, or a callable `(key, images) -> images`. `dtype` ("bfloat16") is what
    a model that takes it computes in; parameters, statistics and losses stay float32. `data_memory`
    is how many bytes of examples a device may hold before they are streamed to it (default: half of
    its memory). With `diagnose`, every so manyth step of an epoch, from its first, each layer's
    signals and gradients are measured too (see `Result.why`).

    Seed s gives the same initial key, data order, augmentation and validation split in every
    combination. The learning rate is chosen for each combination on validation,
    `validation_fraction` of the training data. With `extend_learning_rates`, a combination whose
    best rate is the least or the greatest tried gets further rates beyond it, one at a time.

    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=2, epochs=1)
    >>> study.run().metric
    'accuracy'
    """

    data: Any = "digits"
    model: Any = "lenet"
    factors: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_FACTORS))
    learning_rates: Any = (1.0, 0.3, 0.1, 0.03, 0.01)
    seeds: Any = 5
    epochs: SupportsIndex = 15
    batch_size: SupportsIndex = 64
    task: str | None = None
    validation_fraction: float = 0.2
    warmup_steps: int = 0
    gradient_clip: float | None = None
    label_smoothing: float = 0.0
    extend_learning_rates: bool = False
    augmentation: Any = None
    dtype: str | None = None
    data_memory: int | None = None
    diagnose: int | None = None
    data_dir: str | None = None

    def __post_init__(self) -> None:
        """Check everything that can be checked without data."""
        for name, check in settings.CHECKS.items():
            setattr(self, name, check(getattr(self, name)))
        self.seed_values = settings.seed_values(self.seeds)
        self.build_model = settings.named("model", self.model)
        self.augment = settings.named("augmentation", self.augmentation)
        if not isinstance(self.factors, Mapping):
            raise UsageError(f"factors={self.factors!r}; expected a mapping of names to values")
        self.levels = {factor: levels(factor, values) for factor, values in self.factors.items()}
        self.combinations = combinations(self.levels)

    def run(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        metric: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Train what is missing, and return the result; with `directory`, it is kept there.

        The result is judged by `metric` (see `Result.by`), on which what is kept does not depend.

        Every finished run is kept in the directory's ledger at once, and what is there is not
        trained again. A combination that cannot be trained is in the result's `failures`.

        Raises ValueError where none can be (before anything is trained), OSError where the
        directory cannot be written.
        """
        started, compiled = time.perf_counter(), engine.compilations()
        prepared = self.prepare()
        dataset, task, _ = prepared
        if metric is not None:
            measure(metric, task.metric, task.higher_is_better)  # before anything is trained
        rates: dict[int, Sequence[float]] = {}
        jobs = self.jobs(prepared, rates)
        # A directory is made for what can be trained only.
        there = directory is not None and (Path(directory) / LEDGER).exists()
        keep = StudyDirectory(directory) if directory is not None and there else Memory()
        found = check_missing(jobs, keep)
        if directory is not None and not there:
            keep = StudyDirectory(directory)
        result = Result(
            self.describe(dataset),
            task.metric,
            task.higher_is_better,
            [combination.names() for combination in self.combinations],
            environment=environment() | {"runs_found": found, "runs_trained": 0},
            notes=keep.notes,
            test_examples=len(dataset.test_inputs),
        )
        if isinstance(keep, StudyDirectory):
            keep.write_study(result.study, self.unreadable())
            if found < sum(len(job.runs) for job in jobs):
                keep.write_environment(result.environment)
        show = self._shown(result, metric, on_progress, started)
        while True:
            collect(result, jobs, keep)
            for job in run_jobs(jobs, keep, result.notes, partial(show, jobs)):
                result.environment["runs_trained"] += job.trained
                collect(result, jobs, keep)
            collect(result, jobs, keep)  # with what other processes have trained
            if not result.records:
                raise ValueError(next(iter(result.failures.values())))
            wider = result.rates_beyond() if self.extend_learning_rates else {}
            if not wider:
                break
            for index, rate in wider.items():
                rates[index] = (*rates.get(index, self.learning_rates), rate)
            jobs = self.jobs(prepared, rates)
        result.environment["seconds"] = round(time.perf_counter() - started, 2)
        result.environment["compilations"] = engine.compilations().since(compiled)._asdict()
        if isinstance(keep, StudyDirectory):
            keep.write_results(result.to_json(provenance=False))
            trained = result.environment["runs_trained"]
            # Who only looks again leaves the versions and times of the runs as they are.
            told = result.environment if trained else keep.environment() or result.environment
            seconds = [record.outcome.seconds for record in result.records]
            keep.write_environment(told | {"notes": result.notes, "run_seconds": seconds})
        return result if metric is None else result.by(metric)

    def prepare(self) -> Prepared:
        """Load and split the data. Raises ValueError where it does not fit the task."""
        dataset = self._dataset()
        task = self._task(dataset)
        return Prepared(dataset, task, engine.prepare(dataset, self.validation_fraction))

    def jobs(
        self, prepared: Prepared, rates: Mapping[int, Sequence[float]] | None = None
    ) -> list[Job]:
        """The study's groups; `rates` are those of combinations that have other ones."""
        return [Job(self, *prepared, members, rates or {}) for members in group(self.combinations)]

    def describe(self, dataset: datasets.Dataset | None = None) -> dict[str, Any]:
        """The study as its file has it: names and numbers alone."""
        return described(self, dataset)

    def unreadable(self) -> list[str]:
        """What a study file cannot give back, since it has no name: to be given again by hand."""
        return unreadable(self)

    @property
    def runs(self) -> int:
        """How many trainings the study is."""
        return len(self.combinations) * len(self.learning_rates) * len(self.seed_values)

    @property
    def compilations(self) -> int:
        """How many training programs are compiled."""
        return len(group(self.combinations))

    def _dataset(self) -> datasets.Dataset:
        if isinstance(self.data, datasets.Dataset):
            return self.data
        if isinstance(self.data, (str, os.PathLike)):
            return datasets.load(self.data, data_dir=self.data_dir)
        arrays = tuple(self.data) if isinstance(self.data, (tuple, list)) else ()
        if len(arrays) not in (2, 4):
            raise UsageError(
                f"data is {type(self.data).__name__} of {len(arrays)} arrays; expected a name, a "
                "path, (inputs, targets) or (inputs, targets, test_inputs, test_targets)"
            )
        test = dict(zip(("test_inputs", "test_targets"), arrays[2:], strict=False))
        return datasets.from_arrays(arrays[0], arrays[1], **test)

    def _task(self, dataset: datasets.Dataset) -> training.Task:
        name = self.task or dataset.task
        fitting = [dataset.task, *(["binary"] if dataset.num_classes == 2 else [])]
        if name not in fitting:
            kind = "numbers" if dataset.num_classes is None else f"{dataset.num_classes} classes"
            raise UsageError(
                f"task={name!r} does not fit data set {dataset.name!r}, whose targets are {kind}; "
                f"expected {' or '.join(fitting)}"
            )
        if self.label_smoothing and name != "classification":
            raise UsageError(f"label_smoothing applies to classification, and the task is {name}")
        if name == "binary":
            return training.binary()
        if name == "regression":
            return training.regression()
        return training.classification(label_smoothing=self.label_smoothing)

    def _shown(
        self,
        result: Result,
        metric: str | None,
        on_progress: Callable[[Progress], None] | None,
        started: float,
    ) -> Callable[[Sequence[Job], Job, float], None]:
        def show(jobs: Sequence[Job], job: Job, runs_done: float) -> None:
            if on_progress is None:
                return
            so_far = result if metric is None else result.by(metric)
            seconds = time.perf_counter() - started
            on_progress(progress(so_far, jobs, job, runs_done, seconds))

        return show
