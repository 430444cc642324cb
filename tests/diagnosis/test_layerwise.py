"""Compiled layer by layer, a diagnosis and a prediction are those of the whole network."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jcnn
from jcnn import activations, engine, layers, losses, models, pooling
from jcnn.diagnosis import (
    diagnose_layerwise,
    mean_field,
    mean_field_layerwise,
)
from tests.slow import short_first

X = jax.random.normal(jax.random.key(1), (48, 8, 8, 1))
LABELS = jnp.arange(48) % 10


def net(depth=3, **parts):
    return models.plain_cnn((8, 8, 1), 10, depth=depth, width=6, rngs=nnx.Rngs(0), **parts)


CASES = {
    "relu": net,
    "sigmoid, vanishing": lambda: net(8, activation=jax.nn.sigmoid),
    "tanh, saturated": lambda: net(activation=jnp.tanh, kernel_init=jcnn.initializers.normal(2.0)),
    "identity": lambda: net(activation=activations.identity),
    "elu": lambda: net(activation=activations.elu, pooling=pooling.avg_pool),
    "prelu, learned": lambda: net(activation=layers.learned_prelu),
    "batch": lambda: net(normalization=layers.batch_norm, pooling=pooling.l2_pool),
    "group": lambda: net(activation=jnp.tanh, normalization=layers.group_norm),
    "learned pooling": lambda: net(pooling=layers.learned_weighted_avg_pool),
    "zeros": lambda: net(kernel_init=jcnn.initializers.zeros),
    "too large": lambda: net(6, kernel_init=jcnn.initializers.normal(1e8)),
    "lenet": lambda: models.lenet((8, 8, 1), 10, rngs=nnx.Rngs(0)),
    "mlp": lambda: models.mlp((8, 8, 1), 10, hidden=(16, 8), rngs=nnx.Rngs(0)),
    "one layer": lambda: models.mlp((8, 8, 1), 10, hidden=(), rngs=nnx.Rngs(0)),
}


# Each compiles a whole network too; a few cases show what depends on versions.
OFTEN = ("batch", "learned pooling", "one layer")


@pytest.mark.parametrize("case", short_first(sorted(CASES, key=lambda case: case not in OFTEN), 3))
def test_the_diagnosis_is_that_of_the_whole_network(case):
    model = CASES[case]()
    whole = jcnn.diagnose(model, X, LABELS)
    actual = diagnose_layerwise(model, X, LABELS).diagnosis
    assert [layer.name for layer in actual.layers] == [layer.name for layer in whole.layers]
    for layer, expected in zip(actual.layers, whole.layers, strict=True):
        for field in dataclasses.fields(layer):
            if field.name == "later_rank":  # measured after steps that only a whole diagnosis takes
                continue
            value, wanted = getattr(layer, field.name), getattr(expected, field.name)
            if isinstance(wanted, float):
                np.testing.assert_allclose(value, wanted, rtol=2e-4, err_msg=field.name)
            else:
                assert value == wanted, field.name
    assert [v.kind for v in actual.verdicts] == [v.kind for v in whole.verdicts]
    assert actual.remedies == whole.remedies
    np.testing.assert_allclose(actual.loss, whole.loss, rtol=1e-5)


def test_outputs_and_values_are_those_of_the_model():
    model = net(3, activation=jnp.tanh)
    result = diagnose_layerwise(model, X, LABELS)
    outputs, values = model.intermediates(X)
    np.testing.assert_allclose(result.outputs, outputs, rtol=1e-4, atol=1e-5)
    assert list(result.values) == ["conv1", "conv2", "conv3", "output"]
    np.testing.assert_allclose(result.values["conv2"], values["activation2"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", short_first(["mlp", "relu", "batch"]))
def test_the_prediction_is_that_of_the_whole_network(case):
    model = CASES[case]()
    whole = mean_field(model, X, LABELS, losses.cross_entropy, draws=64)
    prediction = mean_field_layerwise(model, X, LABELS, draws=64)
    # The draws differ, and the layers are narrow.
    np.testing.assert_allclose(prediction.std, whole.std, rtol=0.25)
    np.testing.assert_allclose(prediction.gradient, whole.gradient, rtol=0.25)


def test_a_deeper_chain_compiles_nothing():
    def compiled(depth):
        model = net(depth)
        before = engine.compilations()
        diagnose_layerwise(model, X, LABELS)
        mean_field_layerwise(model, X, LABELS, draws=2)
        since = engine.compilations().since(before)
        return since.compiled + since.loaded

    compiled(3)
    assert compiled(9) == 0


def test_the_model_does_not_change():
    model = net(normalization=layers.batch_norm)
    before = [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model))]
    diagnose_layerwise(model, X, LABELS)
    mean_field_layerwise(model, X, LABELS, draws=2)
    for old, new in zip(before, jax.tree.leaves(nnx.state(model)), strict=True):
        np.testing.assert_array_equal(old, new)


def test_models_that_are_not_a_chain_or_have_no_weights_are_refused():
    with pytest.raises(ValueError, match=r"ResNet; expected a jcnn\.layers\.Sequential"):
        diagnose_layerwise(models.ResNet((8, 8, 1), 10, rngs=nnx.Rngs(0)), X, LABELS)
    with pytest.raises(ValueError, match="no layer with weights"):
        mean_field_layerwise(layers.Sequential(flatten=layers.Flatten()), X, LABELS)
