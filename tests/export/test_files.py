"""Files of trained networks: their own readers read them, in processes without jcnn."""

import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import models
from jcnn.errors import UsageError
from jcnn.export import FORMATS, TrainedModel, load_weights, set_weights, weights
from tests.adapters.networks import EquinoxNet, LinenNet, NnxNet

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)


def linen():
    net = LinenNet(3)
    variables = net.init(jax.random.key(0), IMAGES.astype(np.float32), train=False)
    return jcnn.adapt(net, variables)


NETWORKS = {
    "jcnn": lambda: models.lenet((8, 8, 1), 3, rngs=nnx.Rngs(0)),
    "NNX": lambda: jcnn.adapt(NnxNet(3, rngs=nnx.Rngs(0)), output="logits"),
    "Linen": linen,
    "Equinox": lambda: jcnn.adapt(EquinoxNet(3, key=jax.random.key(0))),
    "Equinox, called": lambda: jcnn.adapt(
        EquinoxNet(3, key=jax.random.key(0)),
        call=lambda net, x: jax.vmap(eqx.nn.inference_mode(net))(x),
    ),
}


def trained(name):
    model = NETWORKS[name]()
    model.eval()
    mean, std = np.array([100], np.float32), np.array([50], np.float32)
    return TrainedModel(
        model, mean, std, (8, 8, 1), np.uint8, ("a", "b", "c"), {"activation": "relu"}, 0.1, 0
    )


READERS = """
import json, sys
import numpy as np
sys.modules["jcnn"] = None  # importing it fails
inputs, expected = np.load("inputs.npy"), np.load("expected.npy")
import jax
program = jax.export.deserialize(bytearray(open("net.stablehlo", "rb").read()))
for count in (1, len(inputs)):
    np.testing.assert_allclose(program.call(inputs[:count]), expected[:count], atol=1e-5)
import onnxruntime
session = onnxruntime.InferenceSession("net.onnx")
for count in (1, len(inputs)):
    (found,) = session.run(None, {"inputs": inputs[:count]})
    np.testing.assert_allclose(found, expected[:count], atol=1e-5)
from safetensors import safe_open
with safe_open("net.safetensors", "numpy") as file:
    arrays = {name: file.get_tensor(name) for name in file.keys()}
    about = file.metadata()
import pathlib
import orbax.checkpoint as ocp
tree = ocp.StandardCheckpointer().restore(pathlib.Path("net.orbax").absolute())
assert json.loads(pathlib.Path("net.orbax/about.json").read_text())["classes"] == ["a", "b", "c"]
for name, array in arrays.items():
    part = tree["weights"]
    for key in name.split("."):
        part = part[key]
    np.testing.assert_array_equal(part, array)
assert float(tree["normalization"]["mean"][0]) == json.loads(about["mean"])[0] == 100.0
print(json.dumps(sorted(arrays)))
"""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_format_is_read_without_jcnn(name, tmp_path):
    network = trained(name)
    for kind in FORMATS:
        assert network.save(tmp_path / f"net.{kind}") == tmp_path / f"net.{kind}"
    np.save(tmp_path / "inputs.npy", IMAGES)
    np.save(tmp_path / "expected.npy", network(IMAGES))
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READERS],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    names = json.loads(found.stdout)
    assert names == sorted(network.weights())
    assert any(part.endswith(("kernel", "weight")) for part in names)


def test_names_are_those_of_the_network_s_own_library():
    assert "conv.kernel" in trained("NNX").weights()
    assert "params.conv.kernel" in trained("Linen").weights()
    assert "batch_stats.norm.mean" in trained("Linen").weights()


def test_weights_are_set_by_name():
    first, second = trained("jcnn"), NETWORKS["NNX"]()
    second = models.lenet((8, 8, 1), 3, rngs=nnx.Rngs(1))
    set_weights(second, weights(first.model))
    x = jnp.ones((2, 8, 8, 1))
    np.testing.assert_array_equal(first.model(x), second(x))
    few = dict(list(weights(second).items())[1:])
    with pytest.raises(UsageError, match="there is no conv1.bias"):
        set_weights(second, few)
    wrong = weights(second) | {"conv1.bias": np.zeros(3, np.float32)}
    with pytest.raises(UsageError, match=r"conv1.bias has shape \(3,\); expected \(16,\)"):
        set_weights(second, wrong)


def test_classes_by_name():
    network = trained("jcnn")
    expected = [("a", "b", "c")[i] for i in network(IMAGES).argmax(axis=1)]
    assert network.classify(IMAGES) == expected
    numbers = TrainedModel(network.model, network.mean, network.std, (8, 8, 1))
    with pytest.raises(UsageError, match="predicts numbers"):
        numbers.classify(IMAGES)


def test_what_cannot_be_written(tmp_path, monkeypatch):
    network = trained("jcnn")
    with pytest.raises(UsageError, match=r"expected one of \.safetensors, \.orbax"):
        network.save(tmp_path / "net.pt")
    with pytest.raises(UsageError, match="is not a directory"):
        network.save(tmp_path / "none" / "net.onnx")
    with pytest.raises(UsageError, match="batch=2: a .orbax file has weights alone"):
        network.save(tmp_path / "net.orbax", batch=2)
    (tmp_path / "own.orbax").mkdir()
    (tmp_path / "own.orbax" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="a folder of something else"):
        network.save(tmp_path / "own.orbax")
    assert (tmp_path / "own.orbax" / "thesis.txt").read_text() == "mine"
    for module, kind in (("safetensors.numpy", "safetensors"), ("onnx", "onnx")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UsageError, match=r"pip install 'jcnn\[export\]'"):
            network.save(tmp_path / f"net.{kind}")

    def missing(self):
        raise ImportError("Please install 'flatbuffers'")

    monkeypatch.setattr(jax.export.Exported, "serialize", missing)
    with pytest.raises(UsageError, match=r"a \.stablehlo file needs flatbuffers: pip install"):
        network.save(tmp_path / "net.stablehlo")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.orbax"]


def test_mistakes_are_one_clear_line(tmp_path):
    network = trained("jcnn")
    for images in (IMAGES[:0], IMAGES[0], IMAGES[:, :5]):
        with pytest.raises(UsageError, match=r"expected \(n, 8, 8, 1\) with n of at least 1"):
            network(images)
    for batch in (0, -1):
        with pytest.raises(UsageError, match="expected a whole number of inputs, at least 1"):
            network.save(tmp_path / "net.onnx", batch=batch)
    with pytest.raises(UsageError, match="expected uint8 or float32"):
        TrainedModel(network.model, network.mean, network.std, (8, 8, 1), np.float64)
    (tmp_path / "net.orbax").write_text("a file")
    with pytest.raises(UsageError, match="is a file; choose another name for the folder"):
        network.save(tmp_path / "net.orbax")
    given = network.weights()
    for options, message in (
        ({"names": {"typo": "x"}}, "there is no weight called typo"),
        ({"names": {"conv1.bias": "conv2.bias"}}, "two weights are called conv2.bias"),
        ({"skip": "head.*"}, r"no weight is called head\.\*"),
    ):
        with pytest.raises(UsageError, match=message):
            load_weights(network.model, given, **options)
    with pytest.raises(UsageError, match="weights from a list; expected a file"):
        load_weights(network.model, [1])


def test_names_that_collide():
    parameters = {"a.b": jnp.ones((2, 2)), "a": {"b": jnp.ones((2, 2))}}
    with pytest.raises(UsageError, match=r"two weights are called a\.b"):
        weights(jcnn.adapt(lambda p, x: x @ p["a.b"] @ p["a"]["b"], parameters))


def test_a_network_is_evaluated():
    model = models.lenet((8, 8, 1), 3, normalization=jcnn.layers.BatchNorm, rngs=nnx.Rngs(0))
    model.train()
    network = TrainedModel(model, np.zeros(1, np.float32), np.ones(1, np.float32), (8, 8, 1))
    first = network(IMAGES)
    np.testing.assert_allclose(network(IMAGES[:1]), first[:1], rtol=1e-4, atol=1e-5)


def test_a_file_is_replaced_whole(tmp_path):
    for name in ("jcnn", "NNX"):
        for kind in ("orbax", "safetensors"):
            trained(name).save(tmp_path / f"net.{kind}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.orbax", "net.safetensors"]
    assert not list((tmp_path / "net.orbax").glob("*.tmp"))
