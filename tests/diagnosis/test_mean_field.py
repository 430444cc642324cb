"""Mean-field predictions for a given model, compared with measurements of its layers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import activations, data, initializers, layers, losses, models, names, pooling, theory
from jcnn.cli import main
from jcnn.diagnosis import diagnose, mean_field
from tests.slow import short_first

SEEDS = range(2)


@pytest.fixture(scope="module")
def batch():
    digits = data.load("digits")
    x = (digits.train_inputs[:128].astype(np.float32) - digits.mean) / digits.std
    return jnp.asarray(x, jnp.float32), jnp.asarray(digits.train_targets[:128])


def measured_over_predicted(build, x, labels):
    """The ratio of the gradients of every layer, a geometric mean over a few seeds."""
    ratios = []
    for seed in SEEDS:
        model = build(nnx.Rngs(seed))
        measured = [layer.gradient for layer in diagnose(model, x, labels).layers]
        expected = mean_field(model, x, labels, losses.cross_entropy, draws=4, seed=seed).gradient
        ratios.append(np.log(np.array(measured) / np.array(expected)))
    return np.exp(np.mean(ratios, axis=0))


@pytest.mark.parametrize("norm", short_first(["none", "batch", "layer"]))
@pytest.mark.parametrize(
    "function", short_first([activations.relu, activations.tanh, activations.sigmoid])
)
def test_dense_networks(function, norm, batch):
    ratios = measured_over_predicted(
        lambda rngs: models.mlp(
            (8, 8, 1),
            10,
            hidden=(256,) * 4,
            activation=function,
            kernel_init=initializers.glorot_normal(),
            normalization=names.lookup("normalization", norm),
            rngs=rngs,
        ),
        *batch,
    )
    np.testing.assert_allclose(ratios, 1, atol=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("norm", short_first(["none", "batch"]))
@pytest.mark.parametrize("pool", short_first([pooling.max_pool, pooling.avg_pool]))
def test_convolutional_networks_with_pooling(pool, norm, batch):
    ratios = measured_over_predicted(
        lambda rngs: models.lenet(
            (8, 8, 1),
            10,
            features=(32, 64),
            pooling=pool,
            normalization=names.lookup("normalization", norm),
            rngs=rngs,
        ),
        *batch,
    )
    np.testing.assert_allclose(ratios, 1, atol=0.25)


@pytest.mark.slow
def test_residual_branches(batch):
    ratios = measured_over_predicted(lambda rngs: models.ResNet((8, 8, 1), 10, rngs=rngs), *batch)
    np.testing.assert_allclose(ratios, 1, atol=0.3)


def test_wide_layers_follow_the_recursion():
    x = jax.random.normal(jax.random.key(0), (64, 128))
    labels = jnp.arange(64) % 10
    model = models.mlp(
        (128,),
        10,
        hidden=(512,) * 8,
        activation=jnp.tanh,
        kernel_init=initializers.lecun_normal(),
        rngs=nnx.Rngs(0),
    )
    prediction = mean_field(model, x, labels, losses.cross_entropy, draws=4)
    recursion = theory.propagate(jnp.tanh, 9, weight_variance=1.0)
    # A factor of pre-activations is that of the activations one layer below.
    expected = [layer.gradient_factor for layer in recursion[2:]]
    np.testing.assert_allclose(prediction.factors[:-2], expected, rtol=0.08)


def test_only_the_mean_square_of_weights_counts():
    """Scaled weights change the prediction."""

    def ratio(gain):
        parts = {"activation": jnp.tanh, "kernel_init": initializers.he_untruncated_normal()}
        model = models.mlp((64,), 10, hidden=(64,) * 4, **parts, rngs=nnx.Rngs(0))
        for name in model.names:
            layer = getattr(model, name)
            if isinstance(layer, layers.Dense):
                layer.kernel[...] = gain * layer.kernel[...]
        x = jax.random.normal(jax.random.key(0), (64, 64))
        prediction = mean_field(model, x, jnp.arange(64) % 10, losses.cross_entropy)
        return prediction.gradient_ratio

    assert ratio(0.5) < 0.3 * ratio(1.0)


def test_the_model_does_not_change_and_draws_are_repeatable(batch):
    model = models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0))
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    first, second = (mean_field(model, *batch, losses.cross_entropy, draws=2) for _ in range(2))
    assert first == second
    assert first != mean_field(model, *batch, losses.cross_entropy, draws=2, seed=1)
    jax.tree.map(
        np.testing.assert_array_equal, before, nnx.to_pure_dict(nnx.state(model, nnx.Param))
    )


@pytest.mark.parametrize(
    "model",
    short_first([["mlp", "--factor", "hidden", "32,32,32,32"], ["plain", "--depth", "8"]]),
    ids=["mlp", "plain"],
)
def test_the_command(model, capsys):
    given = ["diagnose", "--model", *model, "--activation", "tanh", "--theory"]
    assert main(given) == 0
    assert "predicted" in capsys.readouterr().out
    assert main([*given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["predicted"]["gradient"]) == len(found["layers"])
    assert found["gradient_ratio"] == pytest.approx(
        found["predicted"]["gradient"][0] / found["predicted"]["gradient"][-2], rel=0.5
    )
