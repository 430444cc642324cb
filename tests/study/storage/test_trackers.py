"""Runs of a study in trackers, as their own files hold them."""

import math
import sys

import pytest

from jcnn.cli.main import main
from jcnn.errors import UsageError
from jcnn.study.storage.load import read_result
from jcnn.study.storage.trackers import export_to, tracked_runs
from tests.small import study
from tests.wandb_files import wandb_history

pytestmark = pytest.mark.filterwarnings("ignore")  # the trackers' own


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Four runs of two epochs, layers measured; those of one combination diverge."""
    directory = tmp_path_factory.mktemp("tracked") / "x"
    study(epochs=2, diagnose=2, learning_rates=[0.1, 1e30], full_grid=True).run(directory)
    return directory


def test_runs_as_trackers_hold_them(directory):
    result = read_result(directory)
    runs = [*tracked_runs(result)]
    assert len(runs) == len(result.records) == 8
    for run, record in zip(runs, result.records, strict=True):
        assert run.settings["activation"] in ("tanh", "relu")
        assert run.settings["learning_rate"] == record.learning_rate
        assert record.outcome.diverged_at == run.final.get("diverged_at")
        assert all(math.isfinite(value) for value in run.final.values())
    run, record = runs[0], result.records[0]
    assert [row["train/loss"] for row in run.epochs] == record.outcome.curves["train_loss"]
    assert [step for step, _ in run.layers] == record.outcome.history.steps
    assert "gradient/output" in run.layers[0][1]
    assert len({run.name for run in runs}) == 8


def test_tensorboard(directory, tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    target = f"tensorboard:{tmp_path}"
    assert main(["runs", "export", str(directory), "--to", target]) == 0
    assert capsys.readouterr().out == f"8 runs in {target}\n"
    for number, run in enumerate(tracked_runs(read_result(directory))):
        read = EventAccumulator(str(tmp_path / f"{number:04d},{run.name}".replace(" ", ",")))
        read.Reload()
        for name in run.epochs[0]:
            assert [(one.step, one.value) for one in read.Scalars(name)] == [
                (epoch, pytest.approx(row[name]))
                for epoch, row in enumerate(run.epochs, 1)
                if name in row
            ]
        for name, value in run.final.items():
            assert read.Scalars(name)[-1].value == pytest.approx(value)
        (hparams,) = (read.SummaryMetadata("_hparams_/session_start_info"),)
        assert b"learning_rate" in hparams.plugin_data.content


def test_mlflow(directory, tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    assert export_to(read_result(directory), f"mlflow:{uri}") == 8
    assert mlflow.get_tracking_uri() == before
    client = mlflow.MlflowClient(uri)
    (experiment,) = (each for each in client.search_experiments() if each.name == "arrays mlp")
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    for run in tracked_runs(read_result(directory)):
        tracked = found[run.name]
        assert tracked.data.params == {name: str(value) for name, value in run.settings.items()}
        assert tracked.data.tags["group"] == run.group
        assert tracked.info.status == "FINISHED"
        for name, value in run.final.items():
            assert tracked.data.metrics[name] == pytest.approx(value)
        history = client.get_metric_history(tracked.info.run_id, "validation/loss")
        assert [one.value for one in history] == [
            pytest.approx(row["validation/loss"]) for row in run.epochs if "validation/loss" in row
        ]


def test_weights_and_biases(directory, tmp_path, monkeypatch):
    for name, value in {"SILENT": "true", "MODE": "offline", "DIR": str(tmp_path)}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    result = read_result(directory)
    assert export_to(result, "wandb:studies") == 8
    files = sorted(tmp_path.rglob("*.wandb"))
    assert len(files) == 8
    curves = [
        [row["train/loss"] for row in wandb_history(path).values() if "train/loss" in row]
        for path in files
    ]
    expected = [
        [pytest.approx(row["train/loss"]) for row in run.epochs if "train/loss" in row]
        for run in tracked_runs(result)
    ]
    assert all(curve in curves for curve in expected)


def test_what_cannot_be_exported(directory, monkeypatch, capsys):
    result = read_result(directory)
    for target in ("comet:x", "wandb", "mlflow:"):
        with pytest.raises(UsageError, match="expected wandb:PROJECT, mlflow:URI or tensorboard"):
            export_to(result, target)

    def refuse(uri):
        raise RuntimeError(f"no server\nat {uri}")

    with monkeypatch.context() as patched:
        patched.setattr("mlflow.MlflowClient", refuse)
        with pytest.raises(UsageError, match="--to mlflow:x: no server at x"):
            export_to(result, "mlflow:x")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match="needs mlflow: pip install mlflow-skinny"):
        export_to(result, "mlflow:x")
    assert main(["runs", "export", str(directory)]) == 2
    assert main(["runs", "export", str(directory), "a.csv", "--to", "wandb:x"]) == 2
    assert "expected a file to write, or --to" in capsys.readouterr().err
