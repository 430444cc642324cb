"""Export the runs of a study to an experiment tracker: Weights & Biases, MLflow, TensorBoard."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jcnn.analysis.frames import run_row, trained_epochs
from jcnn.analysis.labels import label
from jcnn.analysis.result import Result
from jcnn.errors import UsageError

# The metrics that MLflow takes in one call.
_MOST_OF_MLFLOW = 1000
_LONGEST_NAME = 120

TARGETS = "wandb:PROJECT, mlflow:URI or tensorboard:FOLDER"


class TrackedRun(NamedTuple):
    """A run as trackers hold it.

    `settings` are its levels, learning rate and seed; `epochs` has the metrics of each epoch, by
    names such as "train/loss"; `layers` the figures of its layers by step, if they were measured;
    `final` the metrics on the test set, the seconds, and the step at which it diverged, if it did.
    """

    name: str
    group: str
    settings: Mapping[str, Any]
    epochs: list[dict[str, float]]
    layers: list[tuple[int, dict[str, float]]]
    final: dict[str, float]


def export_to(result: Result, target: str) -> int:
    """Write every run of a study to a tracker, and return their number.

    `target` is "wandb:PROJECT", "mlflow:URI" (as `mlflow.set_tracking_uri` takes it; the experiment
    is called after the study's data and model) or "tensorboard:FOLDER". Offline modes are those of
    the trackers (``WANDB_MODE=offline``). Values that are not finite are left out.

    Raises UsageError for another target, and if the tracker's package is not installed.
    """
    kind, _, place = target.partition(":")
    writers: dict[str, Callable[[Result, str], None]] = {
        "wandb": _to_wandb,
        "mlflow": _to_mlflow,
        "tensorboard": _to_tensorboard,
    }
    if kind not in writers or not place:
        raise UsageError(f"--to {target}: expected {TARGETS}")
    try:
        writers[kind](result, place)
    except ImportError as error:
        package = {"mlflow": "mlflow-skinny"}.get(kind, kind)
        raise UsageError(f"--to {target} needs {kind}: pip install {package}") from error
    except Exception as error:  # of whatever the trackers raise
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"--to {target}: {reason}") from error
    return len(result.records)


def tracked_runs(result: Result) -> Iterator[TrackedRun]:
    """Return the runs of a study as trackers hold them.

    >>> from jcnn.engine import Outcome
    >>> from jcnn.study import RunRecord
    >>> outcome = Outcome({"train_loss": [2.0, 1.0]}, {"accuracy": 0.9})
    >>> levels = [{"pooling": "max"}]
    >>> (run,) = tracked_runs(Result({}, "accuracy", True, levels, [RunRecord(0, 0.1, 3, outcome)]))
    >>> run.name, run.epochs, run.final["test/accuracy"]
    ('pooling=max lr=0.1 seed=3', [{'train/loss': 2.0}, {'train/loss': 1.0}], 0.9)
    """
    for record in result.records:
        levels, outcome = result.combinations[record.combination], record.outcome
        group = label(levels)
        row = run_row(levels, record)
        curves = {name.replace("_", "/", 1): curve for name, curve in outcome.curves.items()}
        history = outcome.history
        yield TrackedRun(
            f"{group} lr={record.learning_rate:g} seed={record.seed}".lstrip(),
            group or "all",
            {name: row[name] for name in (*levels, "learning_rate", "seed")},
            [
                _finite({name: curve[epoch] for name, curve in curves.items()})
                for epoch in range(trained_epochs(record))
            ],
            [] if history is None else [*zip(history.steps, history.rows(), strict=True)],
            _finite(
                {f"test/{name}": value for name, value in outcome.test.items()}
                | {name: row[name] for name in ("seconds", "diverged_at", "best_epoch")}
            ),
        )


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: v for name, v in values.items() if v is not None and math.isfinite(v)}


def _to_wandb(result: Result, project: str) -> None:
    import wandb

    for run in tracked_runs(result):
        with wandb.init(
            project=project, name=run.name, group=run.group, config={**run.settings}
        ) as tracked:
            tracked.define_metric("epoch", hidden=True)
            tracked.define_metric("*", step_metric="epoch")
            tracked.define_metric("layers/*", step_metric="trained_steps")
            for step, row in run.layers:
                tracked.log({f"layers/{name}": value for name, value in row.items()}
                            | {"trained_steps": step})  # fmt: skip
            for epoch, metrics in enumerate(run.epochs, 1):
                tracked.log(metrics | {"epoch": epoch})
            tracked.summary.update(run.final)


def _to_mlflow(result: Result, uri: str) -> None:
    import mlflow
    from mlflow.entities import Metric, Param

    client = mlflow.MlflowClient(uri)  # which leaves the process's tracking URI as it is
    parts = (str(result.study.get(part, "")) for part in ("data", "model"))
    name = " ".join(filter(None, parts)) or "jcnn"
    known = client.get_experiment_by_name(name)
    experiment = client.create_experiment(name) if known is None else known.experiment_id
    for run in tracked_runs(result):
        metrics = [
            Metric(name, float(value), 0, epoch)
            for epoch, row in enumerate(run.epochs, 1)
            for name, value in row.items()
        ]
        metrics += [Metric(name, float(v), 0, len(run.epochs)) for name, v in run.final.items()]
        metrics += [
            Metric(f"layers/{name}", float(value), 0, step)
            for step, row in run.layers
            for name, value in row.items()
        ]
        parameters = [Param(name, str(value)) for name, value in run.settings.items()]
        tags = {"group": run.group}
        identity = client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        client.log_batch(identity, params=parameters)
        for first in range(0, len(metrics), _MOST_OF_MLFLOW):
            client.log_batch(identity, metrics[first : first + _MOST_OF_MLFLOW])
        client.set_terminated(identity)


def _to_tensorboard(result: Result, folder: str) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def scalars(values: Mapping[str, float]) -> Any:
        return Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])

    for number, run in enumerate(tracked_runs(result)):
        short = run.name.replace(" ", ",").replace("/", "_")[:_LONGEST_NAME]
        writer = EventFileWriter(str(Path(folder) / f"{number:04d},{short}"))
        settings = {k: str(v) if v is None else v for k, v in run.settings.items()}
        writer.add_event(Event(step=0, summary=hparams_pb(settings)))
        for step, row in run.layers:
            values = {f"layers/{name}": value for name, value in row.items()}
            writer.add_event(Event(step=step, summary=scalars(values)))
        for epoch, metrics in enumerate(run.epochs, 1):
            writer.add_event(Event(step=epoch, summary=scalars(metrics)))
        writer.add_event(Event(step=len(run.epochs), summary=scalars(run.final)))
        writer.close()
