"""Layers that are not plain calls on floating numbers: embeddings, methods, other libraries."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import losses
from jcnn.diagnosis import diagnose, mean_field
from tests.diagnosis.batch import inputs

LABELS = jnp.arange(32) % 10


@jax.custom_vjp
def own_relu(x):
    return jnp.maximum(x, 0)


own_relu.defvjp(lambda x: (own_relu(x), x), lambda x, g: (jnp.where(x > 0, g, 0),))


def by_hand(layer, after):
    """The root mean square over examples of the gradient at a layer's output."""
    gradient = jax.grad(lambda h: jnp.mean(losses.cross_entropy(after(h), LABELS)))(layer)
    return float(jnp.sqrt(float(len(LABELS))) * jnp.linalg.norm(gradient.ravel()))


class Words(nnx.Module):
    """An embedding of integers, and a dense layer whose weights are used in another method."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.embed = nnx.Embed(20, 16, rngs=rngs)
        self.hidden = nnx.Linear(16, 16, rngs=rngs)

    def encode(self, x):
        return own_relu(x @ self.hidden.kernel[...] + self.hidden.bias[...][None, None])

    def __call__(self, x):
        return self.embed.attend(jnp.mean(self.encode(self.embed(x)), axis=1))[:, :10]


def test_embeddings_methods_and_activations_with_a_gradient_of_their_own():
    model = Words()
    x = jax.random.randint(jax.random.key(0), (32, 5), 0, 20)
    diagnosis = diagnose(model, x, LABELS, singular_values=True)
    names = [(layer.name, layer.kind, layer.activation) for layer in diagnosis.layers]
    assert names == [
        ("embed", "Embed", None),
        ("hidden", "dot_general", "relu"),
        ("embed (call 2)", "dot_general", None),
    ]
    assert diagnosis.layers[1].dead is not None
    h = model.encode(model.embed(x))
    expected = by_hand(h, lambda h: model.embed.attend(jnp.mean(h, axis=1))[:, :10])
    assert diagnosis.layers[1].gradient == pytest.approx(expected, rel=1e-4)
    assert diagnosis.layers[0].singular_values is None
    assert all(np.isfinite(mean_field(model, x, LABELS, losses.cross_entropy).gradient))


class TwoInputs(nnx.Module):
    def __init__(self):
        self.left, self.right = (nnx.Linear(8, 16, rngs=nnx.Rngs(i)) for i in range(2))
        self.head = nnx.Linear(16, 10, rngs=nnx.Rngs(2))

    def __call__(self, left, right):
        return self.head(nnx.relu(self.left(left) + self.right(right)))


def test_several_inputs():
    model = TwoInputs()
    left, right = inputs(32, 8), 2 * inputs(32, 8)
    diagnosis = diagnose(model, (left, right), LABELS)
    assert [layer.activation for layer in diagnosis.layers] == ["relu", "relu", None]
    h = nnx.relu(model.left(left) + model.right(right))
    assert diagnosis.layers[0].gradient == pytest.approx(by_hand(h, model.head), rel=1e-4)
    assert diagnosis.layers[0].std == pytest.approx(float(h.std()), rel=1e-4)


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(2):
            x = nn.sigmoid(nn.Conv(8, (3, 3))(x))
        return nn.Dense(10)(jnp.mean(x, axis=(1, 2)))


def test_a_linen_module_in_a_bridge():
    x = inputs(32, 8, 8, 1)
    model = nnx.bridge.lazy_init(nnx.bridge.ToNNX(Linen(), rngs=nnx.Rngs(0)), x)
    diagnosis = diagnose(model, x, LABELS)
    assert [layer.name for layer in diagnosis.layers] == ["Conv_0", "Conv_1", "Dense_0"]
    assert [layer.activation for layer in diagnosis.layers] == ["sigmoid", "sigmoid", None]
    assert diagnosis.verdict == "healthy"


class OnlyScanned(nnx.Module):
    """All layers with weights are in a scan."""

    def __init__(self, layers=12):
        @nnx.vmap(in_axes=0, out_axes=0)
        def make(key):
            return nnx.Linear(16, 16, rngs=nnx.Rngs(key))

        self.stack = make(jax.random.split(jax.random.key(0), layers))

    def __call__(self, x):
        run = nnx.scan(
            lambda x, layer: nnx.sigmoid(layer(x)), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry
        )
        return run(x, self.stack)[:, :10]


def test_all_layers_in_a_scan():
    diagnosis = diagnose(OnlyScanned(), inputs(32, 16), LABELS)
    assert [layer.name for layer in diagnosis.layers] == [f"stack[{i}]" for i in range(12)]
    assert diagnosis.verdict == "vanishing"


def test_a_scan_that_is_too_long_is_not_seen():
    diagnosis = diagnose(OnlyScanned(2000), inputs(32, 16), LABELS)
    assert (diagnosis.layers, diagnosis.verdict, diagnosis.unseen) == ([], "not seen", ["stack"])


class Position(nnx.Module):
    """A module that holds its own table and calls other layers."""

    def __init__(self):
        self.table = nnx.Param(jax.random.normal(jax.random.key(0), (5, 16)))
        self.dense, self.head = (
            nnx.Linear(8, 16, rngs=nnx.Rngs(0)),
            nnx.Linear(16, 10, rngs=nnx.Rngs(1)),
        )

    def __call__(self, x):
        return self.head(jnp.mean(nnx.relu(self.dense(x) + self.table[...][None]), axis=1))


def test_theory_does_not_lose_the_gradient_at_a_table():
    model, x = Position(), inputs(32, 5, 8)
    measured = diagnose(model, x, LABELS)
    predicted = mean_field(model, x, LABELS, losses.cross_entropy)
    assert [layer.name for layer in measured.layers] == ["dense", "head"]
    for layer, gradient in zip(measured.layers, predicted.gradient, strict=True):
        assert gradient == pytest.approx(layer.gradient, rel=0.5)


@pytest.mark.parametrize("name", ["relu6", "hard_sigmoid", "relu"])
def test_activations_that_agree_near_0_have_their_own_names(name):
    model = nnx.Sequential(
        nnx.Linear(8, 16, rngs=nnx.Rngs(0)),
        getattr(jax.nn, name),
        nnx.Linear(16, 10, rngs=nnx.Rngs(1)),
    )
    assert diagnose(model, inputs(32, 8), LABELS).layers[0].activation == name


class Rematerialized(nnx.Module):
    def __init__(self):
        self.conv = nnx.Conv(8, 8, (3, 3), rngs=nnx.Rngs(0))

    @nnx.remat
    def __call__(self, x):
        return nnx.sigmoid(self.conv(x))


@nnx.jit
def jitted(layer, x):
    return nnx.tanh(layer(x))


class Cached(nnx.Module):
    def __init__(self):
        self.stem, self.block = nnx.Conv(1, 8, (3, 3), rngs=nnx.Rngs(0)), Rematerialized()
        self.dense, self.head = (nnx.Linear(8, n, rngs=nnx.Rngs(1)) for n in (8, 10))

    def __call__(self, x):
        x = self.block(nnx.relu(self.stem(x)))
        return self.head(jitted(self.dense, jnp.mean(x, (1, 2))))


def test_programs_that_were_traced_before_show_the_same_layers():
    model, x = Cached(), inputs(32, 8, 8, 1)
    model(x)
    diagnoses = [diagnose(model, x, LABELS) for _ in range(2)]
    for diagnosis in diagnoses:
        assert [layer.name for layer in diagnosis.layers] == [
            "stem", "block.conv", "dense", "head",
        ]  # fmt: skip
        assert [layer.activation for layer in diagnosis.layers] == [
            "relu", "sigmoid", "tanh", None,
        ]  # fmt: skip
    assert repr(diagnoses[0].layers) == repr(diagnoses[1].layers)


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (inputs(32, 8), LABELS + 1, "labels lie between 1 and 10, but the model has 10 outputs"),
        (inputs(32, 8), LABELS - 1, "labels lie between -1 and 8"),
        (inputs(32, 8).at[3, 2].set(jnp.nan), LABELS, "inputs of 1 of 32 examples hold NaN"),
        (inputs(32, 8).at[3:5, 2].set(jnp.inf), LABELS, "2 of 32 .* first those of example 3"),
        (inputs(32, 8), jnp.full((32, 10), jnp.nan), "the labels of 32 of 32 examples hold NaN"),
        (inputs(32, 8), LABELS[:3], "one label for each"),
        (inputs(1, 8), LABELS[:1], "at least two examples"),
    ],
)
def test_faults_of_the_data_are_named_as_such(x, labels, message):
    model = nnx.Sequential(
        nnx.Linear(8, 16, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(16, 10, rngs=nnx.Rngs(1))
    )
    with pytest.raises(ValueError, match=message):
        diagnose(model, x, labels)


def test_a_softmax_of_one_output_is_refused():
    model = nnx.Linear(8, 1, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="the softmax of one output is always 1"):
        diagnose(model, inputs(32, 8), LABELS % 2)
