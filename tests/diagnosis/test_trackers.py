"""What a watch hands to trackers, as their own files hold it."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import jcnn
from jcnn import models
from tests.wandb_files import wandb_history

pytestmark = pytest.mark.filterwarnings("ignore")  # the trackers' own


def watched(tracker):
    """Watch two steps, and return the rows."""
    x, labels = jax.random.normal(jax.random.key(0), (16, 6)), jnp.arange(16) % 2
    model = models.mlp((6,), 2, hidden=(4,), rngs=nnx.Rngs(0))
    watch = jcnn.watch(model, x, labels, every=5, to=[tracker], on_change=None)
    for step in range(10):
        watch(step, model)
    assert len(watch.rows) == 2
    return dict(zip((0, 5), watch.rows, strict=True))


def test_weights_and_biases(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    with wandb.init(project="watched", mode="offline", dir=str(tmp_path)) as run:
        rows = watched(run.log)
    (path,) = tmp_path.rglob("*.wandb")
    found = wandb_history(path)
    assert found == {step: pytest.approx(row) for step, row in rows.items()}


def test_mlflow(tmp_path):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with mlflow.start_run() as run:
        rows = watched(mlflow.log_metrics)
    client = mlflow.MlflowClient()
    for name in rows[0]:
        found = client.get_metric_history(run.info.run_id, name)
        assert {one.step: one.value for one in found} == {
            step: pytest.approx(row[name]) for step, row in rows.items()
        }


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        rows = watched(writer)
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert set(read.Tags()["scalars"]) == set(rows[0])
    for name in rows[0]:
        assert {one.step: one.value for one in read.Scalars(name)} == {
            step: pytest.approx(row[name]) for step, row in rows.items()
        }
