"""A loss and metrics of one's own: what is trained and compared, and which mistakes are named."""

import functools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.metrics import balanced_accuracy_score, f1_score

from jcnn import data, losses, models
from jcnn.cli import main
from jcnn.errors import UsageError
from jcnn.study import Study, train_one
from jcnn.study.storage.load import read_result
from jcnn.training import TaskMetric, normalize

SMALL = {
    "model": "mlp",
    "factors": {"activation": ["relu", "tanh"], "hidden": [(8,)]},
    "learning_rates": [0.1],
    "seeds": 2,
    "epochs": 2,
}


def focal(outputs, targets):
    """The focal loss, with gamma 2."""
    loss = losses.cross_entropy(outputs, targets)
    return (1 - jnp.exp(-loss)) ** 2 * loss


def distance(outputs, targets):
    """How far the predicted digit is from the true one."""
    return jnp.abs(jnp.argmax(outputs, axis=-1) - targets)


def broken(outputs, targets):
    """Shapes that do not fit."""
    return outputs.reshape(-1) @ targets.astype(outputs.dtype)


def narrow(input_shape, rngs):
    """Three outputs, whatever the classes."""
    return models.mlp(input_shape, 3, hidden=(4,), rngs=rngs)


def final(result):
    return [record.outcome.curves["train_loss"] for record in result.records]


def test_metrics_do_not_change_what_is_trained():
    plain = Study(**SMALL).run()
    further = Study(metrics=["f1", "balanced_accuracy", "top5", distance], **SMALL).run()
    assert final(further) == final(plain)
    names = {"loss", "accuracy", "f1", "balanced_accuracy", "top5", "distance"}
    assert set(further.records[0].outcome.test) == names
    for one, other in zip(plain.records, further.records, strict=True):
        assert {k: other.outcome.test[k] for k in one.outcome.test} == pytest.approx(
            one.outcome.test
        )
    assert further.task_metric == "f1"
    assert further.metric.percent
    by_accuracy = [row.mean for row in further.by("accuracy").ranking()]
    assert by_accuracy == [row.mean for row in plain.ranking()]
    assert further.by("top5").ranking()[0].mean > further.by("accuracy").ranking()[0].mean
    with pytest.raises(UsageError, match="unknown metric 'f2'; did you mean f1"):
        further.by("f2")


def test_test_metrics_are_those_of_the_predictions():
    study = Study(metrics=["f1", "balanced_accuracy"], **SMALL)
    (record, *_) = study.run().records
    prepared = study.prepare()
    model = train_one(study, record.combination, 0.1)
    inputs = normalize(jnp.asarray(prepared.dataset.test_inputs), prepared.data)
    predicted = np.argmax(np.asarray(model(inputs)), axis=-1)
    labels = prepared.dataset.test_targets
    expected = {
        "f1": f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": balanced_accuracy_score(labels, predicted),
        "accuracy": (labels == predicted).mean(),
    }
    for name, value in expected.items():
        assert record.outcome.test[name] == pytest.approx(value, abs=0.005)


def test_a_loss_of_ones_own_is_trained_and_compared_by():
    plain, own = Study(**SMALL).run(), Study(loss=focal, **SMALL).run()
    assert final(own) != final(plain)
    assert own.task_metric == "accuracy"
    assert all(loss[-1] < loss[0] < 2.3 for loss in final(own))
    only = Study(loss=focal, metric="loss", **SMALL).run()
    assert (only.task_metric, only.higher_is_better) == ("loss", False)
    same = Study(loss=losses.cross_entropy, **SMALL).run()
    assert final(same) == final(plain)
    heavy = functools.partial(losses.cross_entropy, class_weights=[10.0] + [1.0] * 9)
    assert final(Study(loss=heavy, **SMALL).run()) != final(plain)


def test_smaller_may_be_better(tmp_path):
    metric = TaskMetric(distance, higher_is_better=False)
    Study(metrics={"macro": "f1", "distance": metric}, **SMALL).run(tmp_path)
    result = read_result(tmp_path)
    assert result.higher_is_better
    for name, reverse in (
        ("distance", False),
        ("macro", True),
        ("accuracy", True),
        ("loss", False),
    ):
        means = [row.mean for row in result.by(name).ranking()]
        assert means == sorted(means, reverse=reverse)
    assert Study(metrics={"distance": metric}, **SMALL).run().higher_is_better is False
    with pytest.raises(ValueError, match="columns=2 need `number`"):
        TaskMetric(distance, columns=2)


def test_several_labels_per_example():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    y = (x[:, :3] > 0).astype(np.float32)
    labels = data.Dataset("labels", x[:150], y[:150], x[150:], y[150:], None, "here")

    def loss(outputs, targets):
        return losses.binary_cross_entropy(outputs, targets).mean(axis=-1)

    def right(outputs, targets):
        return ((outputs > 0) == (targets > 0.5)).mean(axis=-1)

    result = Study(
        data=labels, loss=loss, metrics={"right": right},
        **SMALL | {"epochs": 30, "batch_size": 16, "learning_rates": [0.3]},
    ).run()  # fmt: skip
    assert result.task_metric == "right"
    assert result.ranking()[0].mean > 0.9


def test_outputs_of_any_shape():
    """Embeddings that are pulled to a point per class: nothing needs `outputs` units."""

    def build(input_shape, rngs):
        return models.mlp(input_shape, 2, hidden=(64,), rngs=rngs)

    angles = jnp.linspace(0.0, 1.8 * jnp.pi, 10)
    points = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

    def loss(outputs, targets):
        return jnp.sum((outputs - points[targets]) ** 2, axis=-1)

    def nearest(outputs, targets):
        distances = jnp.sum((outputs[:, None] - points[None]) ** 2, axis=-1)
        return jnp.argmin(distances, axis=-1) == targets

    result = Study(
        loss=loss,
        metrics={"nearest": nearest},
        **SMALL | {"model": build, "factors": {}, "epochs": 10, "learning_rates": [0.02]},
    ).run()
    assert result.ranking()[0].mean > 0.2


def test_loss_and_metrics_are_part_of_a_run(tmp_path):
    def scaled(scale):
        return lambda outputs, targets: scale * losses.cross_entropy(outputs, targets)

    def trained(**changed):
        return Study(**SMALL | changed).run(tmp_path).environment["runs_trained"]

    assert trained(loss=scaled(1.0)) == 4
    assert trained(loss=scaled(1.0)) == 0
    assert trained(loss=scaled(2.0)) == 4
    assert trained() == 4
    assert trained(metrics=["f1"]) == 4
    assert trained(metrics=["f1"], metric="accuracy") == 0
    found = read_result(tmp_path)
    assert found.study["metrics"] == {"f1": "f1"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"loss": lambda o, t: focal(o, t).mean()}, r"loss on outputs .*\(\); expected one value"),
        (
            {"loss": lambda o, t: o.reshape(-1) @ t.astype(o.dtype)},
            "loss on outputs .*Error at test_own_loss.py:",
        ),
        ({"metrics": {"wrong": lambda o, t: o}}, "wrong on outputs .* expected one value per exam"),
        ({"loss": "focal"}, "unknown loss 'focal'"),
        ({"metrics": ["f1"], "metric": "f2"}, "unknown metric 'f2'; did you mean f1"),
        ({"metrics": ["f3"]}, "unknown metrics 'f3'; did you mean f1"),
        ({"metrics": {"loss": focal}}, "metric 'loss' has a meaning already"),
        ({"metrics": {"area": focal}}, "metric 'area' has a meaning already"),
        ({"metrics": {"f1": focal}}, "metric 'f1' is built in; give your own another name"),
        (
            {"metrics": {"pair": TaskMetric(lambda o, t: o[:, :2], columns=2, number=abs)}},
            r"pair on outputs .* its number has shape \(2,\); expected one number",
        ),
        (
            {"model": narrow, "factors": {}, "loss": lambda o, t: o[:, 0] ** 2},
            r"outputs of shape \(64, 3\) have no accuracy.*set metric='loss'",
        ),
        ({"metrics": [lambda o, t: t]}, "metric '<lambda>'; expected a name"),
        ({"metrics": {"x": 3}}, "metric x=3; expected a name or a function"),
        ({"loss": focal, "label_smoothing": 0.1}, "label_smoothing belongs to the built-in loss"),
        ({"metrics": ["f1"], "data": (np.ones((20, 2)), np.linspace(0, 1, 20))}, "is for classes"),
    ],
)
def test_mistakes_are_named(changed, message):
    with pytest.raises(UsageError, match=message):
        Study(**SMALL | changed).run()


def test_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_losses.py").write_text("from tests.study.test_own_loss import focal, distance")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    words = ["compare", "--model", "mlp", "--factor", "hidden", "8,", "--activation", "relu"]
    words += ["--kernel-init", "he_normal", "--normalization", "none", "--learning-rate", "0.1"]
    words += ["--seeds", "1", "--epochs", "1", "--out", "x", "--no-report"]
    own = [
        "--loss",
        "own_losses:focal",
        "--metrics",
        "f1",
        "own_losses:distance",
        "balanced_accuracy",
    ]
    assert main([*words, *own, "--metric", "balanced_accuracy", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == "balanced_accuracy"
    assert main(["compare", "x", "--out", "x", "--no-report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "balanced_accuracy"
    assert (
        read_result(tmp_path / "x").environment["runs_trained"] == 1
    )  # the second command loaded it
    assert main(["runs", "show", "x", "--metric", "f1"]) == 0
    assert "test f1" in " ".join(capsys.readouterr().out.split())


class Segmenter(nnx.Module):
    """Logits for each pixel."""

    def __init__(self, input_shape, outputs, *, rngs):
        self.first = nnx.Conv(input_shape[-1], 8, (3, 3), rngs=rngs)
        self.last = nnx.Conv(8, outputs, (1, 1), rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


def pixelwise(outputs, targets):
    return losses.cross_entropy(outputs, targets).mean((1, 2))


def pixels_right(outputs, targets):
    right = jnp.argmax(outputs, axis=-1) == targets
    return right.astype(jnp.float32).mean((1, 2))


def test_dense_targets():
    images = data.load("digits").train_inputs[:200]
    masks = (images[..., 0] > 100).astype(np.int64) + (images[..., 0] > 200)
    settings = SMALL | {"model": Segmenter, "factors": {}, "batch_size": 16}
    study = Study(data=(images, masks), loss=pixelwise, metrics={"right": pixels_right}, **settings)
    assert study.prepare().dataset.train_targets.dtype == np.int32
    result = study.run()
    (row,) = result.ranking()
    assert row.mean > 0.85
    network = result.best_model()
    test = study.prepare().dataset
    outputs = network(test.test_inputs)
    assert outputs.shape == (*test.test_targets.shape, 3)
    right = float((outputs.argmax(axis=-1) == test.test_targets).mean())
    assert network.test["right"] == pytest.approx(right, abs=1e-5)
    with pytest.raises(UsageError, match="need a loss of your own"):
        Study(data=(images, masks), **settings).run()
