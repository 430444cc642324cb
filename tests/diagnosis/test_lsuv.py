"""LSUV of whole models: each layer's output has variance 1; what is unchanged or refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import activations, initializers, layers, models
from jcnn.diagnosis import lsuv

LSUV = initializers.lsuv_orthogonal
WEIGHTED = (layers.Conv, layers.Dense, nnx.Conv, nnx.Linear)


@pytest.fixture
def stds(monkeypatch):
    """The standard deviation of each layer call's output, recorded by patching the classes."""

    def of(model, x):
        deviations = []

        def recording(original):
            def call(self, x):
                y = original(self, x)
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


def images(*shape):
    return 3 * jax.random.normal(jax.random.key(1), shape) + 1


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


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
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


@pytest.mark.slow
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


class Fixed(nnx.Module):
    """A dense layer whose kernel is not trained."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Variable(4 * jax.random.normal(rngs(), (4, 4)))

    def __call__(self, x):
        return x @ self.kernel[...]


class Unused(nnx.Module):
    """A layer that does not use its kernel."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Param(LSUV(rngs(), (4, 4)))

    def __call__(self, x):
        return x + 1


def test_what_does_not_change():
    rngs = nnx.Rngs(0)
    model = layers.Sequential(
        fixed=Fixed(rngs=rngs),
        pool=layers.Pool(layers.learned_weighted_avg_pool, (2, 2)),
        unused=Unused(rngs=rngs),
        nothing=layers.Dense(4, 4, kernel_init=initializers.zeros, rngs=rngs),
        same=layers.Dense(4, 1, bias_init=initializers.ones, kernel_init=LSUV, rngs=rngs),
    )
    scaled = lsuv(model, images(8, 4, 4, 4))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(scaled))
    # Outputs that are equal up to rounding, and outputs that are not finite.
    one = layers.Dense(3, 1, kernel_init=LSUV, rngs=rngs)
    for x in (jnp.full((1000, 3), 0.1), images(8, 3).at[0].set(jnp.nan)):
        np.testing.assert_array_equal(lsuv(one, x).kernel[...], one.kernel[...])


class Product(nnx.Module):
    def __init__(self, *, rngs):
        self.one, self.other = (nnx.Param(LSUV(rngs(), (4, 4))) for _ in range(2))

    def __call__(self, x):
        return x @ self.one[...] @ self.other[...]


class Weighted(nnx.Module):
    """Weight normalization: the kernel's size does not matter."""

    def __init__(self, *, rngs):
        self.kernel = nnx.Param(LSUV(rngs(), (4, 4)))

    def __call__(self, x):
        return x @ (self.kernel[...] / jnp.linalg.norm(self.kernel[...]))


class Sum(nnx.Module):
    def __init__(self, *, rngs):
        self.one, self.other = (nnx.Param(LSUV(rngs(), (4, 4))) for _ in range(2))

    def __call__(self, x):
        return x @ self.one[...] + jnp.tanh(x) @ self.other[...]


class Looped(nnx.Module):
    def __init__(self, *, rngs):
        self.first = layers.Dense(4, 4, rngs=rngs)
        self.layer = layers.Dense(4, 4, rngs=rngs)

    def __call__(self, x):
        graph, state = nnx.split(self.layer)
        x = self.first(x)
        return jax.lax.fori_loop(0, 2, lambda _, x: nnx.merge(graph, state)(x), x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Product, r"cannot scale Product \(Product\): its output is not linear in its kernels"),
        (Weighted, "not linear in its kernels; use another initializer"),
        (Looped, "lsuv sees no call of layer: call it outside of loops"),
    ],
)
def test_models_that_cannot_be_scaled_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        lsuv(model(rngs=nnx.Rngs(0)), images(8, 4))


def test_kernels_whose_outputs_are_added_are_scaled_together():
    x = images(32, 4)
    scaled = lsuv(Sum(rngs=nnx.Rngs(0)), x)
    assert float(jnp.std(scaled(x))) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (jnp.ones((0, 4)), ValueError, r"x has shape \(0, 4\); expected a batch"),
        (jnp.ones((2, 4), jnp.int32), TypeError, "x is int32; expected a floating dtype"),
    ],
)
def test_batches_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        lsuv(layers.Dense(4, 2, rngs=nnx.Rngs(0)), x)
