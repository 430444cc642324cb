"""Studies and commands of networks that are called in their own way."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import models
from jcnn.cli import main
from jcnn.errors import UsageError
from jcnn.study import Study, train_one
from jcnn.study.storage.ledger import Ledger
from tests.adapters.networks import EquinoxNet, NnxNet, haiku_net, linen_net, plain_net

SMALL = {"learning_rates": [0.1], "seeds": 2, "epochs": 2, "batch_size": 128}
ACTIVATIONS = {"activation": ["relu", "tanh"]}


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (NnxNet, {"output": "logits"}),
        (NnxNet, {"call": lambda model, x, train: model(x, train=train)["logits"]}),
        (linen_net, {}),
        (EquinoxNet, {}),
        (haiku_net, {}),
        (plain_net, {}),
    ],
    ids=["nnx", "call", "linen", "equinox", "haiku", "plain"],
)
def test_networks_of_every_kind_are_compared(model, settings, tmp_path):
    study = Study(model=model, factors=ACTIVATIONS, **SMALL, **settings)
    result = study.run(tmp_path)
    assert result.failures == {}
    assert len(result.records) == 4
    losses = [record.outcome.curves["train_loss"] for record in result.records]
    assert all(last < first for first, last in losses)
    assert len({tuple(curve) for curve in losses}) == 4  # seeds and activations differ
    again = study.run(tmp_path)
    assert again.environment["runs_trained"] == 0
    assert again.to_json(provenance=False) == result.to_json(provenance=False)


def test_dropout_and_statistics_differ_between_training_and_evaluation():
    for model, output in ((NnxNet, "logits"), (linen_net, None), (EquinoxNet, None)):
        dropped, kept = (
            Study(model=model, output=output, factors={"dropout": [share]}, **SMALL).run()
            for share in (0.5, 0.0)
        )
        for one, other in zip(dropped.records, kept.records, strict=True):
            assert one.outcome.curves["train_loss"] != other.outcome.curves["train_loss"]
            # An untrained mean of dropped features is worse than that of all of them.
            assert one.outcome.curves["train_loss"][0] > one.outcome.curves["validation_loss"][0]


def test_how_a_network_is_called_is_part_of_a_run(tmp_path):
    def call(scale):
        return lambda model, x: scale * model(x)["logits"]

    first, second = (
        Study(model=NnxNet, call=call(scale), factors={}, **SMALL) for scale in (1.0, 2.0)
    )
    first.run(tmp_path)
    assert first.run(tmp_path).environment["runs_trained"] == 0
    assert second.run(tmp_path).environment["runs_trained"] == 2
    logits = Study(model=NnxNet, output="logits", factors={}, **SMALL)
    features = Study(model=NnxNet, output=lambda y: y["logits"] ** 2, factors={}, **SMALL)
    assert logits.run(tmp_path).environment["runs_trained"] == 2
    assert features.run(tmp_path).environment["runs_trained"] == 2


def test_a_built_network_starts_from_its_weights():
    net = models.mlp((8, 8, 1), 10, hidden=(8,), rngs=nnx.Rngs(5))
    before = jax.tree.map(np.asarray, nnx.as_pure(nnx.state(net)))
    study = Study(model=net, factors={}, **SMALL)
    job = study.jobs(study.prepare())[0]
    images = jnp.asarray(study.prepare().data.inputs[:4], jnp.float32)
    for seed in (0, 1):
        np.testing.assert_allclose(job.model(0, seed)(images), net(images), rtol=1e-6)
    first, second = (record.outcome.curves for record in study.run().records)
    assert first != second  # another order of the examples
    jax.tree.map(np.testing.assert_array_equal, nnx.as_pure(nnx.state(net)), before)
    assert study.describe()["model"] == "a built Sequential"
    with pytest.raises(UsageError, match="unknown factor 'activation'"):
        Study(model=net, factors=ACTIVATIONS, **SMALL).run()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": NnxNet}, "returns a dict; expected one array of outputs: name them with output"),
        ({"model": NnxNet, "output": "x"}, "output='x', but the model returns a dict with logits"),
        ({"model": lambda rngs: 3}, "it returned a int; expected a module of Flax NNX, Linen or"),
        (
            {"model": lambda num_classes, rngs: models.mlp((8, 8, 1), 3, rngs=rngs)},
            "its last layer needs `num_classes` units",
        ),
        ({"output": [1]}, "output=[1]; expected a key, an index or a callable"),
        ({"call": 3}, "call=3; expected a name or a callable"),
    ],
)
def test_what_is_wrong_is_said(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Study(factors={}, **SMALL, **settings).run()


def test_the_command_line_names_call_and_output(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_nets.py").write_text(
        "from tests.adapters.networks import NnxNet, linen_net\n"
        "from flax import nnx\n"
        "import jcnn\n"
        "def call(model, x, train):\n"
        "    return model(x, train=train)\n"
        "built = jcnn.models.mlp((8, 8, 1), 10, hidden=(4,), rngs=nnx.Rngs(0))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def layers(*words):
        main(["diagnose", *words, "--examples", "16", "--json"])
        return [layer["name"] for layer in json.loads(capsys.readouterr().out)["layers"]]

    assert layers("own_nets:NnxNet", "--output", "logits") == ["conv", "dense"]
    words = ["own_nets:NnxNet", "--call", "own_nets:call", "--output", "logits"]
    assert layers(*words) == ["conv", "dense"]
    assert layers("own_nets:linen_net", "--activation", "tanh") == ["conv", "dense"]
    assert layers("own_nets:built") == ["dense_hidden1", "output"]
    command = ["compare", "--model", "own_nets:NnxNet", "--call", "own_nets:call", "--out", "x"]
    command += ["--output", "logits", "--activation", "relu", "--learning-rate", "0.1"]
    assert main([*command, "--seeds", "1", "--epochs", "1", "--no-report"]) == 0
    capsys.readouterr()
    assert main(["compare", "x", "--out", "x", "--no-report"]) == 0  # its study file has them
    assert len(Ledger(tmp_path / "x").runs()) == 1  # nothing was trained again
    text = (tmp_path / "x" / "study.toml").read_text()
    assert 'call = "own_nets:call"' in text
    assert 'output = "logits"' in text


def test_a_trained_network_is_given_back():
    study = Study(model=linen_net, factors=ACTIVATIONS, **SMALL)
    module = train_one(study, 0, 0.1)
    data = study.prepare().data
    assert module(jnp.asarray(data.inputs[:3], jnp.float32)).shape == (3, 10)
    assert set(module.parameters) == {"params", "batch_stats"}
    assert np.any(np.asarray(module.parameters["batch_stats"]["norm"]["mean"]) != 0)
