"""LSUV of whole models: each layer's output has variance 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import activations, initializers, layers, models
from jcnn.diagnosis import lsuv
from tests.diagnosis.batch import images
from tests.slow import short_first

LSUV = initializers.lsuv_orthogonal()
WEIGHTED = (nnx.Conv, nnx.Linear)  # and those of jcnn, which derive from them


@pytest.fixture
def stds(monkeypatch):
    """The standard deviation of each layer call's output, recorded by patching the classes."""

    def of(model, x):
        deviations = []

        def recording(original):
            def call(self, x, *options):
                y = original(self, x, *options)
                deviations.append(jnp.std(y.astype(jnp.float32)))
                return y

            return call

        with monkeypatch.context() as patched:
            for kind in WEIGHTED:
                patched.setattr(kind, "__call__", recording(kind.__call__))
            graph, state = nnx.split(model)
            return jax.jit(lambda state, x: (nnx.merge(graph, state)(x), list(deviations))[1])(
                state, x
            )

    return of


class UserModel(nnx.Module):
    """Flax's layers, dropout and normalization, in an order that no model of jcnn has."""

    def __init__(self, *, rngs):
        init = {"kernel_init": LSUV, "rngs": rngs}
        self.convs = nnx.List([nnx.Conv(1, 4, (3, 3), **init), nnx.Conv(4, 4, (3, 3), **init)])
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, 3, **init)

    def __call__(self, x):
        first = self.convs[0](x)
        second = self.norm(self.convs[1](nnx.relu(first)))
        return self.head(self.drop(nnx.gelu(first + second)).mean((1, 2)))


def plain(activation):
    return lambda r: models.plain_cnn(
        (6, 6, 1), 3, depth=17, width=8, activation=activation, kernel_init=LSUV, rngs=r
    )


MODELS = {
    "lenet": (lambda r: models.lenet((6, 6, 1), 3, kernel_init=LSUV, rngs=r), 4),
    "lenet, batch norm": (
        lambda r: models.lenet(
            (6, 6, 1), 3, normalization=layers.batch_norm, kernel_init=LSUV, rngs=r
        ),
        4,
    ),
    "plain sigmoid": (plain(activations.sigmoid), 18),
    "plain tanh": (plain(activations.tanh), 18),
    "plain relu": (plain(activations.relu), 18),
    "resnet": (lambda r: models.ResNet((6, 6, 1), 3, depth=8, kernel_init=LSUV, rngs=r), 8),
    "resnet, none": (
        lambda r: models.ResNet(
            (6, 6, 1), 3, depth=8, width=4, normalization=None, kernel_init=LSUV, rngs=r
        ),
        8,
    ),
    "user": (lambda r: UserModel(rngs=r), 3),
}


@pytest.mark.parametrize("name", short_first(sorted(MODELS, key=lambda name: name != "own")))
def test_every_layer_has_variance_one(name, stds):
    make, count = MODELS[name]
    model, x = make(nnx.Rngs(0)), images(32, 6, 6, 1)
    before = jax.tree.map(jnp.copy, nnx.state(model, nnx.Param))
    scaled = lsuv(model, x)
    deviations = stds(scaled, x)
    assert len(deviations) == count
    np.testing.assert_allclose(deviations, 1, atol=1e-3)
    assert max(abs(np.array(stds(model, x)) - 1)) > 0.1
    # The given model has not changed; in the new one, only the kernels' sizes have.
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(model, nnx.Param))
    for (path, old), new in zip(
        jax.tree.leaves_with_path(nnx.state(model)),
        jax.tree.leaves(nnx.state(scaled)),
        strict=True,
    ):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        if "kernel" in jax.tree_util.keystr(path):
            ratio = jnp.vdot(new, old) / jnp.vdot(old, old)
            assert ratio > 0
            np.testing.assert_allclose(new, ratio * old, rtol=1e-4, atol=1e-6)
        elif jnp.issubdtype(old.dtype, jnp.floating):
            np.testing.assert_array_equal(old, new)


def test_it_agrees_with_the_pure_function():
    x = images(64, 5)
    model = models.mlp(
        (5,), 3, hidden=(7, 6), activation=jnp.tanh, kernel_init=LSUV, rngs=nnx.Rngs(0)
    )
    names = ("dense_hidden1", "dense_hidden2", "output")

    def preactivations(kernels):
        sums, signal = [], x
        for kernel in kernels:
            sums.append(signal @ kernel)
            signal = jnp.tanh(sums[-1])
        return sums

    kernels = [getattr(model, name).kernel[...] for name in names]
    expected = initializers.lsuv(preactivations, kernels, tolerance=1e-6)
    scaled = lsuv(model, x)
    for name, kernel in zip(names, expected, strict=True):
        np.testing.assert_allclose(getattr(scaled, name).kernel[...], kernel, rtol=1e-4)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_a_bias_does_not_change_and_counts(spread, stds):
    model = layers.Dense(
        6, 400, bias_init=initializers.normal(spread), kernel_init=LSUV, rngs=nnx.Rngs(0)
    )
    x = images(200, 6)
    scaled = lsuv(model, x)
    np.testing.assert_array_equal(scaled.bias[...], model.bias[...])
    if spread < 1:
        np.testing.assert_allclose(stds(scaled, x), 1, atol=1e-3)
    else:  # the bias alone varies more than that
        assert float(jnp.std(x @ scaled.kernel[...])) == pytest.approx(1, abs=1e-3)


def test_half_precision(stds):
    model = models.lenet((6, 6, 1), 3, kernel_init=LSUV, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    x = images(32, 6, 6, 1)
    scaled = lsuv(model, x)
    np.testing.assert_allclose(stds(scaled, x), 1, atol=1e-2)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(scaled))} == {jnp.dtype("float32")}


def test_models_under_transformations():
    x = images(32, 6)

    def kernels(seed):
        rngs = nnx.Rngs(jax.random.key(seed))
        model = models.mlp((6,), 3, hidden=(8, 8), kernel_init=LSUV, rngs=rngs)
        return jax.tree.leaves(nnx.state(lsuv(model, x), nnx.Param))

    mapped = jax.jit(lambda seeds: jax.lax.map(kernels, seeds))(jnp.arange(2))
    together = jax.jit(jax.vmap(kernels))(jnp.arange(2))
    for seed in range(2):
        for one, many, all_at_once in zip(kernels(seed), mapped, together, strict=True):
            np.testing.assert_allclose(one, many[seed], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(one, all_at_once[seed], rtol=1e-5, atol=1e-6)


class Twice(nnx.Module):
    """One layer called twice, then another; with arrays in addition to its layers."""

    def __init__(self, *, rngs):
        self.shared = nnx.Linear(4, 4, kernel_init=LSUV, rngs=rngs)
        self.shift = nnx.Param(jnp.full((1, 4), 0.3))
        self.gain = nnx.Param(jnp.full((1, 4), 0.5))
        self.head = nnx.Linear(4, 2, kernel_init=LSUV, rngs=rngs)

    def __call__(self, x):
        x = jnp.tanh(self.shared(x + self.shift[...]))
        return self.head(jnp.tanh(self.shared(x))) * self.gain[0, 0]


def test_a_layer_called_twice_is_scaled_once_and_other_arrays_do_not_change(stds):
    x = images(64, 4)
    scaled = lsuv(Twice(rngs=nnx.Rngs(0)), x)
    first, second, head = stds(scaled, x)
    np.testing.assert_allclose([first, head], 1, atol=1e-3)
    assert abs(second - 1) > 0.05
    assert (scaled.shift[...] == 0.3).all()
    assert (scaled.gain[...] == 0.5).all()


class Tied(nnx.Module):
    """A kernel that is also read outside its layer, before the layer is called."""

    def __init__(self, *, rngs):
        self.encode = nnx.Linear(4, 3, kernel_init=LSUV, rngs=rngs)
        self.head = nnx.Linear(4, 2, kernel_init=LSUV, rngs=rngs)

    def __call__(self, x):
        back = self.encode.kernel[...].T
        return self.head(self.encode(x) @ back)


def test_values_computed_from_a_kernel_before_the_call_are_updated(stds):
    x = images(64, 4)
    np.testing.assert_allclose(stds(lsuv(Tied(rngs=nnx.Rngs(0)), x), x), 1, atol=1e-3)
