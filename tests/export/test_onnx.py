"""ONNX files give the outputs of the network, run by onnxruntime on any number of inputs."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from flax import nnx
from jax import lax

from jcnn import models, names
from jcnn.errors import UsageError
from jcnn.export import TrainedModel, to_onnx, weights

SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
MEAN, STD = np.array([100, 120, 140], np.float32), np.array([60, 70, 80], np.float32)


def trained(model, shape=SHAPE, dtype=np.uint8):
    model.eval()
    return TrainedModel(model, MEAN[: shape[-1]], STD[: shape[-1]], shape, dtype)


def runs_alike(network, inputs=IMAGES):
    content = to_onnx(network).SerializeToString()
    session = onnxruntime.InferenceSession(content)
    for some in (inputs, inputs[:1]):
        (found,) = session.run(None, {"inputs": some})
        expected = network(some)
        assert np.ptp(expected) > 0
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)
    return session


class Layers(nnx.Module):
    """A network of Flax's layers and of operations of lax."""

    def __init__(self, rngs):
        self.first = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        self.grouped = nnx.Conv(8, 8, (3, 3), kernel_dilation=2, feature_group_count=4, rngs=rngs)
        self.up = nnx.ConvTranspose(8, 8, (3, 3), strides=(2, 2), rngs=rngs)
        self.norms = nnx.List([nnx.BatchNorm(8, rngs=rngs), nnx.GroupNorm(8, 4, rngs=rngs)])
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.drop, self.last = nnx.Dropout(0.5, rngs=rngs), nnx.Linear(16, 4, rngs=rngs)

    def __call__(self, x):
        x = nnx.gelu(self.norms[0](self.first(x)))
        x = self.up(nnx.silu(self.norms[1](self.grouped(x))))
        x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        y = self.attention(x.reshape(x.shape[0], -1, 8)).mean(axis=1)
        x = nnx.avg_pool(x, (2, 2), strides=(1, 1), padding="SAME")
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))[:, ::-1, 1:-1:2]
        x = jnp.where(x > 0, x, 0.1 * x).max(axis=(1, 2))
        return self.last(self.drop(jnp.concatenate([nnx.softmax(x), y], axis=-1)))


def test_layers_of_flax_and_operations_of_lax():
    network = trained(Layers(nnx.Rngs(0)))
    with jax.numpy_dtype_promotion("standard"):  # which Flax's attention needs
        session = runs_alike(network)
    (described,) = session.get_inputs()
    assert described.shape == ["batch", *SHAPE]
    assert described.type == "tensor(uint8)"


@pytest.mark.parametrize(
    "pooling", ["max", "avg", "l2", "weighted_avg", "mixed", "soft", "gem", "stochastic", "lp:3.0"]
)
def test_poolings(pooling):
    pool = names.lookup("pooling", pooling)
    runs_alike(trained(models.lenet(SHAPE, 4, pooling=pool, rngs=nnx.Rngs(0))))


ACTIVATIONS = ["sigmoid", "tanh", "elu", "selu", "gelu", "mish", "softplus", "prelu", "hard_tanh"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    function = names.lookup("activation", activation)
    network = models.mlp(SHAPE, 4, hidden=(8,), activation=function, rngs=nnx.Rngs(0))
    runs_alike(trained(network))


def test_a_residual_network():
    network = models.ResNet((16, 16, 3), 4, rngs=nnx.Rngs(0))
    images = np.random.default_rng(1).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    runs_alike(trained(network, (16, 16, 3)), images)


class Function(nnx.Module):
    def __init__(self, function):
        self.function, self.scale = function, nnx.Param(jnp.array(2.0))

    def __call__(self, x):
        return self.function(x * self.scale)


OPERATIONS = {
    "transposed": lambda x: x.T.T.reshape(x.shape[0], -1).cumsum(axis=1)[:, :5],
    "indexed": lambda x: x[:, jnp.array([3, 1]), jnp.array([0, 2])].reshape(x.shape[0], -1),
    "looked up": lambda x: jnp.eye(4)[x.argmax(axis=-1)[:, 0]].sum(axis=1),
    "rounded": lambda x: jnp.round(1.01 * x).mean(axis=(1, 2)) + jnp.clip(x, -1, 1).sum((1, 2)),
    "logic": lambda x: jnp.where((x > 0) & ~(x > 1) | (x == 2), x * x * x, -x).mean(axis=(1, 2)),
    "logarithms": lambda x: jnp.log1p(x * x).sum((1, 2)) + jnp.expm1(-(x * x)).mean((1, 2)),
    "minima": lambda x: -nnx.max_pool(-x, (2, 2), strides=(2, 2))[:, 0, 0],
    "stacked": lambda x: jnp.stack([x, -x], axis=1).max(axis=(1, 2, 3)),
    "tiled": lambda x: jnp.concatenate([x[:, 0, 0], jnp.tile(jnp.eye(3)[:1], (x.shape[0], 1))], 1),
    "remainder": lambda x: (x % 2.0).sum((1, 2)) + jnp.any(x > 2, axis=(1, 2)).astype(jnp.float32),
    "centred": lambda x: (x - x.mean(0, keepdims=True)).sum((1, 2)) + x[:, 0, 0],
    "clipped": lambda x: jnp.take(
        jnp.arange(12.0).reshape(4, 3), (5 * x[:, 0, 0, 0]).astype(jnp.int32), 0, mode="clip"
    ),
    "split": lambda x: sum(jnp.split(x, 2, axis=1)).mean(axis=(1, 2)),
    "product": lambda x: jnp.einsum("bhwc,bhwd->bcd", x, jnp.sin(x)).reshape(x.shape[0], -1) / 9,
    "broadcast": lambda x: jnp.concatenate([x[:, 0, 0], jnp.ones((x.shape[0], 2))], axis=1),
    "cut": lambda x: lax.pad(x, 0.0, ((0, 0, 0), (-1, 2, 0), (1, -2, 0), (0, 0, 0))).sum((1, 2)),
    "cut windows": lambda x: lax.reduce_window(
        x, 0.0, lax.add, (1, 3, 2, 1), (1, 2, 1, 1), ((0, 0), (1, 1), (0, 1), (0, 0))
    ).mean(axis=(1, 2)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name):
    runs_alike(trained(Function(OPERATIONS[name])))


def test_bfloat16_becomes_float32():
    network = models.lenet(SHAPE, 4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    network = trained(network)
    session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString())
    (found,) = session.run(None, {"inputs": IMAGES})
    np.testing.assert_allclose(found, network(IMAGES), atol=0.1)


def test_a_network_that_needs_the_size_of_the_batch():
    network = trained(Function(lambda x: x.reshape(len(x), -1)[:, :3]))
    with pytest.raises(UsageError, match=r"write x.shape\[0\] instead of len\(x\)"):
        to_onnx(network)
    session = onnxruntime.InferenceSession(to_onnx(network, batch=5).SerializeToString())
    np.testing.assert_allclose(session.run(None, {"inputs": IMAGES})[0], network(IMAGES))


def test_the_batch_can_be_fixed():
    network = trained(models.lenet(SHAPE, 4, rngs=nnx.Rngs(0)))
    session = onnxruntime.InferenceSession(to_onnx(network, batch=5).SerializeToString())
    assert session.get_inputs()[0].shape == [5, *SHAPE]
    (found,) = session.run(None, {"inputs": IMAGES})
    np.testing.assert_allclose(found, network(IMAGES), rtol=1e-4, atol=1e-5)


def test_weights_keep_their_names_and_the_file_says_what_it_is():
    network = trained(models.lenet(SHAPE, 4, rngs=nnx.Rngs(0)))
    content = to_onnx(network)
    used = {tensor.name for tensor in content.graph.initializer}
    assert {"dense_hidden1.kernel", "output.kernel"} <= used & weights(network.model).keys()
    about = {each.key: each.value for each in content.metadata_props}
    assert about["input_shape"] == "[8, 8, 3]"


@pytest.mark.parametrize(
    "function",
    [
        lambda x: lax.sort(x)[:, 0, 0],
        lambda x: lax.fori_loop(0, jnp.int32(x.sum()), lambda i, y: y + 1, x)[:, 0, 0],
        lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 2, 2, 2), (1, 1, 1, 1), "VALID")[:, 0, 0],
        lambda x: lax.reduce_window(
            x, 0.0, lax.add, (1, 2, 2, 1), (1, 1, 1, 1), "VALID", window_dilation=(1, 2, 2, 1)
        )[:, 0, 0],
        lambda x: lax.pad(x, 0.0, ((0, 0, 0), (0, 0, 1), (0, 0, 0), (0, 0, 0)))[:, 0, 0],
        lambda x: lax.select_n((x > 0).astype(jnp.int32) + 1, x, -x, 2 * x)[:, 0, 0],
        lambda x: lax.conv_general_dilated(
            x,
            jnp.ones((3, 3, 3, 3)),
            (1, 1),
            ((-1, 0), (0, 0)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )[:, 0, 0],
    ],
)
def test_what_has_no_translation_is_named(function):
    with pytest.raises(
        UsageError, match=r"no translation to ONNX|no ONNX form|cannot be written to ONNX"
    ):
        to_onnx(trained(Function(function)))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'jcnn\[export\]'"):
        to_onnx(trained(models.lenet(SHAPE, 4, rngs=nnx.Rngs(0))))
