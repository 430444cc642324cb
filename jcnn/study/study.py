"""The main job: train every combination over seeds and learning rates, as a few programs."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from jcnn import data as datasets
from jcnn import engine, names, training
from jcnn.study.job import Job
from jcnn.study.output import Output, environment
from jcnn.study.plan import combinations, group, levels
from jcnn.study.result import Result

DEFAULT_FACTORS: dict[str, Sequence[str]] = {
    "activation": ("sigmoid", "tanh", "relu"),
    "kernel_init": ("glorot_normal", "he_normal"),
    "normalization": ("none", "batch"),
}
# How many groups are compiled ahead of the one that trains.
AHEAD = 2


@dataclass(frozen=True)
class Progress:
    """Where a running study stands: runs are counted in whole and part trainings."""

    runs_done: float
    runs: int
    combination: str
    seconds: float
    best: str


@dataclass
class Study:
    """Which combination trains best? Factors x learning rates x seeds on one data set and model.

    `data` is a name (`jcnn data list`), a path, a `jcnn.data.Dataset`, or arrays `(inputs,
    targets)` or `(inputs, targets, test_inputs, test_targets)`. `model` is a name,
    `"module:attribute"`, or any callable that builds an `nnx.Module`; it is called with `rngs`,
    with `input_shape` and `outputs` where it takes them, and with the model's factors. `factors`
    map a keyword to its values: names, or values of one's own, or a mapping of names to them.
    `optimizer`, `schedule`, `batch_size`, `momentum` and `weight_decay` may be factors too.

    Seed s gives the same initial key, data order and validation split in every combination. The
    learning rate is chosen for each combination on validation, `validation_fraction` of the
    training data.

    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=2, epochs=1)
    >>> study.run().metric
    'accuracy'
    """

    data: Any = "digits"
    model: Any = "lenet"
    factors: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_FACTORS))
    learning_rates: Sequence[float] = (1.0, 0.3, 0.1, 0.03, 0.01)
    seeds: int | Sequence[int] = 5
    epochs: int = 15
    batch_size: int = 64
    task: str | None = None
    validation_fraction: float = 0.2
    warmup_steps: int = 0
    gradient_clip: float | None = None
    label_smoothing: float = 0.0
    data_dir: str | None = None

    def __post_init__(self) -> None:
        """Check everything that can be checked without data."""
        _positive_whole("epochs", self.epochs)
        _positive_whole("batch_size", self.batch_size)
        if isinstance(self.seeds, int):
            _positive_whole("seeds", self.seeds)
        self.seed_values = list(range(self.seeds)) if isinstance(self.seeds, int) else [*self.seeds]
        if not self.seed_values or len(set(self.seed_values)) < len(self.seed_values):
            raise ValueError(f"seeds={self.seeds!r}; expected a count, or different whole numbers")
        if any(not isinstance(s, int) or not 0 <= s < 2**31 for s in self.seed_values):
            raise ValueError(f"seeds={self.seeds!r}; expected whole numbers from 0 to 2^31 - 1")
        rates = [float(rate) for rate in self.learning_rates]
        if not rates or len(set(rates)) < len(rates) or not all(0 < r < np.inf for r in rates):
            raise ValueError(
                f"learning_rates={list(self.learning_rates)}; expected different positive numbers"
            )
        self.build_model = (
            names.lookup("model", self.model) if isinstance(self.model, str) else self.model
        )
        if not callable(self.build_model):
            raise ValueError(f"model {self.model!r} is not callable; give a function or class")
        if "learning_rate" in self.factors:
            raise ValueError("learning_rate is not a factor; give learning_rates=[...]")
        self.combinations = combinations({f: levels(f, v) for f, v in self.factors.items()})

    def run(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Train everything and return the result; with `directory`, leave it there as files.

        Raises ValueError for what cannot be trained (before anything is), OSError where the
        directory cannot be written. If interrupted, finished groups are kept on disk.
        """
        started, compiled = time.perf_counter(), engine.compilations()
        dataset = self._dataset()
        task = self._task(dataset)
        jobs = [Job(self, dataset, task, members) for members in group(self.combinations)]
        for job in jobs:
            job.check()
        output = None if directory is None else Output(directory)
        result = Result(
            self.describe(dataset),
            task.metric,
            task.higher_is_better,
            [combination.names() for combination in self.combinations],
            environment=environment(),
        )
        try:
            if output is not None:
                output.write_study(result.study)
                output.write_environment(result.environment)
            self._train(jobs, dataset, result, output, on_progress, started)
        except BaseException:
            if output is not None and not result.records:
                output.discard()
            raise
        result.environment["seconds"] = round(time.perf_counter() - started, 2)
        result.environment["compilations"] = engine.compilations().since(compiled)._asdict()
        if output is not None:
            output.write("results.json", result.to_json())
            output.write_environment(result.environment)
        return result

    def describe(self, dataset: datasets.Dataset | None = None) -> dict[str, Any]:
        """The study as its file has it: names and numbers alone."""
        data = self.data if isinstance(self.data, (str, os.PathLike)) else None
        model = self.model if isinstance(self.model, str) else names.name_of("model", self.model)
        described = {
            "data": str(data) if data is not None else (dataset.name if dataset else "arrays"),
            "model": model,
            "learning_rates": [float(rate) for rate in self.learning_rates],
            "seeds": self.seeds if isinstance(self.seeds, int) else [*self.seeds],
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "task": self.task,
            "validation_fraction": self.validation_fraction,
            "warmup_steps": self.warmup_steps,
            "gradient_clip": self.gradient_clip,
            "label_smoothing": self.label_smoothing,
            "data_dir": self.data_dir,
            "factors": {
                factor: list(dict.fromkeys(c.names()[factor] for c in self.combinations))
                for factor in self.factors
            },
        }
        return {key: value for key, value in described.items() if value is not None}

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
        arrays = tuple(self.data)
        if len(arrays) not in (2, 4):
            raise ValueError(
                f"data has {len(arrays)} arrays; expected (inputs, targets) or (inputs, targets, "
                "test_inputs, test_targets)"
            )
        test = dict(zip(("test_inputs", "test_targets"), arrays[2:], strict=False))
        return datasets.from_arrays(arrays[0], arrays[1], **test)

    def _task(self, dataset: datasets.Dataset) -> training.Task:
        name = self.task or dataset.task
        if name == "regression" and dataset.task == "regression":
            return training.regression()
        if name == "classification" and dataset.task == "classification":
            return training.classification(label_smoothing=self.label_smoothing)
        if name == "binary" and dataset.num_classes == 2:
            return training.binary()
        raise ValueError(
            f"task={name!r} does not fit data set {dataset.name!r} ({dataset.task}, "
            f"{dataset.num_classes} classes); expected classification, binary (two classes) or "
            "regression"
        )

    def _train(
        self,
        jobs: Sequence[Job],
        dataset: datasets.Dataset,
        result: Result,
        output: Output | None,
        on_progress: Callable[[Progress], None] | None,
        started: float,
    ) -> None:
        data = engine.prepare(dataset, self.validation_fraction)
        for job, compiled in _compiled_ahead(jobs, data):
            before = len(result.records)
            outcomes: list[engine.Outcome] = []
            for steps, latest in compiled.train():
                outcomes = latest
                if on_progress is not None:
                    share = steps / job.recipe.total_steps * len(job.runs)
                    ranking = result.ranking()
                    best = (
                        f"{' '.join(ranking[0].levels.values())} {result.show(ranking[0].mean)}"
                        if ranking
                        else ""
                    )
                    seconds = time.perf_counter() - started
                    on_progress(Progress(before + share, self.runs, job.label, seconds, best))
            result.records += job.records(outcomes)
            if output is not None:
                output.write("results.json", result.to_json())


def _compiled_ahead(
    jobs: Sequence[Job], data: training.Data
) -> Iterator[tuple[Job, engine.CompiledGroup]]:
    """Each job with its compiled group; the next ones compile in threads meanwhile."""
    with ThreadPoolExecutor(AHEAD) as pool:
        rest = iter(jobs)
        waiting: list[tuple[Job, Future[engine.CompiledGroup]]] = [
            (job, pool.submit(job.compile, data)) for job in islice(rest, AHEAD)
        ]
        try:
            while waiting:
                job, future = waiting.pop(0)
                compiled = future.result()
                waiting += [(j, pool.submit(j.compile, data)) for j in islice(rest, 1)]
                yield job, compiled
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _positive_whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}; expected a whole number of at least 1")
