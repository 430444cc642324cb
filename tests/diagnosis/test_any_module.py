"""Any module, unchanged: its layers, and activations recognised by what they compute."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import activations, models, pooling
from jcnn.diagnosis import diagnose
from jcnn.tracing import trace
from tests.diagnosis.batch import LABELS, inputs
from tests.slow import short_first


class Child(nnx.Linear):
    """A layer whose `__call__` is its parent's."""


class Grandchild(Child):
    """A layer that calls its parent's `__call__`."""

    def __call__(self, x):
        return 2 * super().__call__(x)


class UserModel(nnx.Module):
    """Lists, a residual branch, a layer called twice, dropout and batch norm."""

    def __init__(self, rngs, activation):
        self.stack = nnx.List([nnx.Linear(16, 16, rngs=rngs) for _ in range(2)])
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.twice = Child(16, 16, rngs=rngs)
        self.out = Grandchild(16, 10, rngs=rngs)
        self.activation = activation

    def __call__(self, x):
        for layer in self.stack:
            x = x + self.activation(self.norm(layer(x)))
        for _ in range(2):
            x = self.activation(self.twice(x))
        return self.out(self.drop(x))


def test_any_module_can_be_diagnosed_and_does_not_change():
    model = UserModel(nnx.Rngs(0), nnx.relu)
    before = jax.tree.map(
        np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    )
    calls = {
        kind: vars(kind).get("__call__") for kind in (nnx.Linear, UserModel, Child, Grandchild)
    }
    diagnosis = diagnose(model, inputs(32, 16), LABELS)
    names = ["stack.0", "stack.1", "twice", "twice (call 2)", "out"]
    assert [layer.name for layer in diagnosis.layers] == names
    assert [layer.activation for layer in diagnosis.layers] == ["relu"] * 4 + [None]
    assert diagnosis.layers[2].weight_gradient == diagnosis.layers[3].weight_gradient
    after = jax.tree.map(
        np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    )
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert {kind: vars(kind).get("__call__") for kind in calls} == calls
    json.loads(diagnosis.to_json())


def clipped(x):
    return jnp.where(x > 1, 1.0, jnp.where(x < -1, -1.0, x))


@pytest.mark.parametrize(
    ("function", "name", "ends"),
    short_first(
        [
            (lambda x: x * jax.nn.sigmoid(x), "silu", None),
            (clipped, "hard_tanh", 2),
            (lambda x: jnp.maximum(x, 0.1 * x) + 1, None, 0),
            *((f, n, None) for n, f in activations.ACTIVATIONS.items() if n != "identity"),
        ],
        8,
    ),
)
def test_activations_are_recognized_by_what_they_compute(function, name, ends):
    model = UserModel(nnx.Rngs(0), function)
    (layer, *_) = trace(model, inputs(32, 16)).layers
    assert layer.activation is not None
    z = jnp.linspace(-3, 3, 33)
    np.testing.assert_allclose(layer.activation(z), function(z), rtol=1e-5, atol=1e-6)
    slopes = jax.vmap(jax.grad(function))(z + 0.013)
    (traced,) = jax.vmap(jax.grad(layer.activation))(z + 0.013)[None]
    np.testing.assert_allclose(traced, slopes, rtol=1e-4, atol=1e-6)
    expected = {"swish": "silu"}.get(name, name)
    if name is not None:
        found = layer.activation.name()
        same = np.allclose(activations.ACTIVATIONS[found](z), function(z), atol=1e-2)
        assert found == expected or same
    if ends is not None:
        assert len(layer.activation.facts().saturates) == ends


@pytest.mark.parametrize("name", short_first(["relu", "tanh", "gelu"]))
def test_the_elementwise_steps_of_a_pooling_are_not_part_of_the_activation(name):
    function = activations.ACTIVATIONS[name]
    for pool in (pooling.l2_pool, pooling.gem_pool, pooling.soft_pool):
        model = models.plain_cnn(
            (8, 8, 1), 10, depth=2, activation=function, pooling=pool, rngs=nnx.Rngs(0)
        )
        found = diagnose(model, inputs(32, 8, 8, 1), LABELS)
        assert [one.activation for one in found.layers] == [name, name, None], pool
        by_hand = model.intermediates(inputs(32, 8, 8, 1))[1]["activation1"]
        assert found.layers[0].std == pytest.approx(float(by_hand.std()), rel=1e-4)


def test_a_squared_relu_is_another_activation():
    model = models.lenet(
        (8, 8, 1), 10, activation=lambda x: jnp.square(jax.nn.relu(x)), rngs=nnx.Rngs(0)
    )
    assert diagnose(model, inputs(32, 8, 8, 1), LABELS).layers[2].activation not in ("relu", None)


class InALoop(nnx.Module):
    def __init__(self, rngs):
        self.stack = nnx.vmap(
            lambda keys: nnx.Linear(8, 8, rngs=nnx.Rngs(keys)), in_axes=0, out_axes=0
        )(jax.random.split(jax.random.key(0), 3))
        self.out = nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x):
        layers = nnx.scan(lambda x, layer: jnp.tanh(layer(x)), in_axes=(nnx.Carry, 0),
                          out_axes=nnx.Carry)  # fmt: skip
        return self.out(layers(x, self.stack))


def test_the_layers_in_a_scan_are_those_of_the_scan_written_out():
    model = InALoop(nnx.Rngs(0))
    diagnosis = diagnose(model, inputs(32, 8), LABELS)
    assert [layer.name for layer in diagnosis.layers] == ["stack[0]", "stack[1]", "stack[2]", "out"]
    kernels, biases = model.stack.kernel[...], model.stack.bias[...]
    linear = [nnx.Linear(8, 8, rngs=nnx.Rngs(0)) for _ in range(3)]
    for layer, kernel, bias in zip(linear, kernels, biases, strict=True):
        layer.kernel[...], layer.bias[...] = kernel, bias
    written_out = nnx.Sequential(
        *(part for layer in linear for part in (layer, jnp.tanh)), model.out
    )
    for scanned, plain in zip(
        diagnosis.layers, diagnose(written_out, inputs(32, 8), LABELS).layers, strict=True
    ):
        for name in ("std", "gradient", "weight_gradient", "update_ratio", "effective_rank"):
            assert getattr(scanned, name) == pytest.approx(getattr(plain, name), rel=1e-4), name


class InAWhileLoop(nnx.Module):
    """Layers in a loop of unknown length."""

    def __init__(self, rngs):
        self.inner = nnx.Linear(8, 8, rngs=rngs)
        self.out = nnx.Linear(8, 10, rngs=rngs)

    def __call__(self, x):
        kernel = self.inner.kernel[...]
        steps = 3 + (x[0, 0] > 100).astype(jnp.int32)
        x = x + jax.lax.stop_gradient(
            jax.lax.fori_loop(0, steps, lambda _, h: jnp.tanh(h @ kernel), x)
        )
        return self.out(x)


def test_weights_in_a_loop_of_unknown_length_are_not_called_healthy():
    diagnosis = diagnose(InAWhileLoop(nnx.Rngs(0)), inputs(32, 8), LABELS)
    assert [layer.name for layer in diagnosis.layers] == ["out"]
    assert (diagnosis.verdict, diagnosis.unseen) == ("not seen", ["inner"])


def test_an_activation_with_a_learned_slope_is_not_in_the_catalogue():
    activation = jcnn.names.lookup("activation", "learned_prelu")
    model = models.mlp((8,), 10, hidden=(16,), activation=activation, rngs=nnx.Rngs(0))
    (first, _) = diagnose(model, inputs(32, 8), LABELS).layers
    assert (first.activation, first.dead, first.saturated) == ("own", None, None)
