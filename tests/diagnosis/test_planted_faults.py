"""Faults that were planted are named, where they are; healthy networks are silent."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import initializers, layers, models
from jcnn.diagnosis import Examination, diagnose
from tests.slow import short_first

SEEDS = 10
EXAMPLES = 128
HE = initializers.he_normal()


class Frozen(nnx.Linear):
    """A layer whose weights receive no gradient."""

    def __call__(self, x):
        kernel = jax.lax.stop_gradient(self.kernel[...])
        return x @ kernel + jax.lax.stop_gradient(self.bias[...])[None]


class Net(nnx.Module):
    """Layers of equal width and activations, of jcnn or Flax, dense or convolutional.

    `inits` are the layers' kernel initializers, `biases` their constant biases by index.
    """

    def __init__(
        self, make, width, inits, activation, *, biases=None, norm=False, frozen=None, rngs
    ):
        biases = biases or {}
        self.layers = nnx.List(
            [
                (Frozen if i == frozen else make)(
                    width,
                    width,
                    kernel_init=init,
                    bias_init=nnx.initializers.constant(biases.get(i, 0.0)),
                    rngs=rngs,
                )
                for i, init in enumerate(inits)
            ]
        )
        self.norms = nnx.List([layers.batch_norm(width, rngs=rngs) for _ in inits if norm])
        self.readout = nnx.Linear(width, 10, kernel_init=HE, rngs=rngs)
        self.activation = activation

    def __call__(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.norms:
                x = self.norms[i](x)
            x = self.activation(x)
        return self.readout(x.reshape(len(x), -1, x.shape[-1]).mean(axis=1))


def jcnn_conv(width, out, *, rngs, **keywords):
    return layers.Conv(width, out, (3, 3), rngs=rngs, **keywords)


def flax_conv(width, out, *, rngs, **keywords):
    return nnx.Conv(width, out, (3, 3), rngs=rngs, **keywords)


KINDS = {
    "jcnn dense": (layers.Dense, 64),
    "flax conv": (flax_conv, 32),
    "jcnn dense wide": (layers.Dense, 256),
    "flax dense": (nnx.Linear, 64),
    "jcnn conv": (jcnn_conv, 16),
}


def batch(kind, examples=EXAMPLES):
    width = KINDS[kind][1]
    shape = (examples, 4, 4, width) if "conv" in kind else (examples, width)
    x = np.random.default_rng(0).normal(size=shape)
    return jnp.asarray(x, jnp.float32), jnp.arange(examples) % 10


def examined(kind, inits, activation, seeds=SEEDS, **keywords):
    """The diagnoses of as many networks as there are seeds, compiled once."""
    make, width = KINDS[kind]

    def build(seed):
        return Net(make, width, inits, activation, rngs=nnx.Rngs(seed), **keywords)

    examination = Examination(build(0), *batch(kind))
    return [examination(build(seed)) for seed in range(seeds)]


def rank_one(key, shape, dtype=jnp.float32):
    rows, columns = np.prod(shape[:-1]), shape[-1]
    u, v = (jax.random.normal(k, (n,)) for k, n in zip(jax.random.split(key), (rows, columns)))  # noqa: B905
    return (jnp.outer(u, v) / np.sqrt(rows)).reshape(shape).astype(dtype)


def scaled(gain):
    """Weights of variance gain^2 / fan-in."""
    return nnx.initializers.variance_scaling(gain**2, "fan_in", "normal")


every_kind = pytest.mark.parametrize("kind", short_first(KINDS, 2))


@every_kind
@pytest.mark.parametrize("depth", short_first([4, 30]))
def test_healthy_networks_have_no_verdict(kind, depth):
    for diagnosis in examined(kind, [HE] * depth, jax.nn.relu, norm=True):
        assert diagnosis.verdicts == [], diagnosis.verdicts


@pytest.mark.parametrize("kind", short_first(KINDS))
def test_sigmoids_with_small_weights_vanish_from_the_right_layer(kind):
    """The upper layers are healthy; the gradient shrinks below layer 3."""
    small = [initializers.normal(0.01)] * 12
    for diagnosis in examined(kind, small, jax.nn.sigmoid):
        assert diagnosis.verdict == "vanishing"
        assert diagnosis.verdicts[0].layer == "layers.10"  # whose gradient has passed layer 11
    healthy_above = [*[initializers.normal(0.003)] * 4, *[HE] * 4]
    for diagnosis in examined(kind, healthy_above, jax.nn.relu):
        assert diagnosis.verdict == "vanishing"
        assert (
            diagnosis.verdicts[0].layer == "layers.2"
        )  # the first below one with small weights, 3
        assert "relu" in diagnosis.remedies[0] or "normalization" in diagnosis.remedies[0]


@every_kind
def test_a_strong_negative_bias_kills_its_layer(kind):
    for diagnosis in examined(kind, [HE] * 6, jax.nn.relu, biases={2: -100.0}):
        assert (diagnosis.verdict, diagnosis.verdicts[0].layer) == ("dead", "layers.2")
        assert diagnosis.layers[2].dead == 1.0
        assert diagnosis.layers[1].dead < 0.5


@every_kind
def test_tanh_with_large_weights_is_saturated(kind):
    for diagnosis in examined(kind, [scaled(3.0)] * 6, jnp.tanh):
        assert diagnosis.verdict == "saturated"
        assert diagnosis.verdicts[0].layer in ("layers.0", "layers.1")


@pytest.mark.parametrize("kind", short_first(KINDS))
def test_linear_layers_with_gain_two_explode(kind):
    for diagnosis in examined(kind, [scaled(2.0)] * 30, lambda x: x, seeds=3):
        assert diagnosis.verdict == "exploding"
        assert diagnosis.verdicts[0].figure > 1e6


@pytest.mark.parametrize("kind", ["flax dense", "jcnn dense"])
def test_a_frozen_layer_does_not_learn(kind):
    for diagnosis in examined(kind, [HE] * 5, jax.nn.relu, frozen=2):
        assert (diagnosis.verdict, diagnosis.verdicts[0].layer) == ("not_learning", "layers.2")
        assert "frozen" in diagnosis.verdicts[0].sentence


def test_weights_that_are_not_parameters_do_not_learn():
    model = models.mlp((8,), 10, hidden=(16, 16), rngs=nnx.Rngs(0))
    model.dense_hidden2.kernel = nnx.Variable(model.dense_hidden2.kernel[...])
    x = jax.random.normal(jax.random.key(0), (128, 8))
    diagnosis = diagnose(model, x, jnp.arange(128) % 10)
    assert (diagnosis.verdict, diagnosis.verdicts[0].layer) == ("not_learning", "dense_hidden2")
    assert diagnosis.verdicts[0].sentence == (
        "the weights of dense_hidden2 are not `nnx.Param`, so they are not trained"
    )


@pytest.mark.parametrize("kind", short_first(KINDS))
def test_a_layer_of_rank_one_collapses(kind):
    inits = [HE, HE, rank_one, HE, HE]
    for diagnosis in examined(kind, inits, jax.nn.relu):
        assert (diagnosis.verdict, diagnosis.verdicts[0].layer) == ("collapsed", "layers.2")
        assert diagnosis.layers[2].effective_rank == pytest.approx(1.0, abs=0.05)


HEALTHY = {
    "mlp alone": ("mlp", jax.nn.relu, None),
    **{
        f"{name} {act.__name__} {norm.__name__ if norm else 'plain'}": (name, act, norm)
        for (name, act), norm in itertools.product(
            [
                ("lenet", jax.nn.relu), ("lenet", jnp.tanh), ("vgg", jax.nn.relu),
                ("vgg", jax.nn.gelu), ("plain_cnn", jax.nn.silu), ("ResNet", jax.nn.relu),
                ("ResNet", jax.nn.elu), ("mlp", jax.nn.selu), ("mlp", jnp.tanh),
            ],
            [layers.batch_norm, layers.group_norm],
        )
    },
    "lenet alone": ("lenet", jax.nn.relu, None),
    "plain_cnn alone": ("plain_cnn", jax.nn.relu, None),
}  # fmt: skip


@pytest.mark.parametrize("name", short_first(HEALTHY))
def test_no_false_alarm_on_healthy_architectures(name, digits_batch):
    make, activation, norm = HEALTHY[name]
    model = getattr(models, make)(
        (8, 8, 1), 10, activation=activation, normalization=norm, rngs=nnx.Rngs(0)
    )
    assert diagnose(model, *digits_batch).verdicts == []


@pytest.fixture(scope="module")
def digits_batch():
    from jcnn import data

    digits = data.load("digits")
    x = np.asarray(digits.train_inputs[:EXAMPLES], np.float32)
    return jnp.asarray((x - x.mean()) / x.std()), jnp.asarray(digits.train_targets[:EXAMPLES])


@pytest.mark.slow
@pytest.mark.parametrize("kind", short_first(["jcnn dense", "jcnn conv"]))
def test_verdicts_do_not_depend_on_the_batch(kind):
    make, width = KINDS[kind]
    for inits, activation in (
        ([HE] * 6, jax.nn.relu),
        ([initializers.normal(0.01)] * 10, jax.nn.sigmoid),
        ([scaled(3.0)] * 6, jnp.tanh),
    ):
        model = Net(make, width, inits, activation, rngs=nnx.Rngs(1))
        small, large = (
            [(v.kind, v.layer) for v in diagnose(model, *batch(kind, examples)).verdicts[:1]]
            for examples in (64, 512)
        )
        assert small == large
