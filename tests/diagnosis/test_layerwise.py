"""Layer by layer, `diagnose` and `predict` give what they give for the whole network."""

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
    predict,
    predict_layerwise,
)  # fmt: skip
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


# Each compiles a whole network besides; what depends on versions is seen by a few.
OFTEN = ("batch", "learned pooling", "one layer")


@pytest.mark.parametrize("case", short_first(sorted(CASES, key=lambda case: case not in OFTEN), 3))
def test_the_diagnosis_is_that_of_the_whole_network(case):
    model = CASES[case]()
    whole = jcnn.diagnose(model, X, LABELS)
    found = diagnose_layerwise(model, X, LABELS).diagnosis
    assert [one.name for one in found.layers] == [one.name for one in whole.layers]
    for own, other in zip(found.layers, whole.layers, strict=True):
        for field in dataclasses.fields(own):
            mine, theirs = getattr(own, field.name), getattr(other, field.name)
            if isinstance(theirs, float):
                np.testing.assert_allclose(mine, theirs, rtol=2e-4, err_msg=field.name)
            else:
                assert mine == theirs, field.name
    assert [one.kind for one in found.verdicts] == [one.kind for one in whole.verdicts]
    assert found.remedies == whole.remedies
    np.testing.assert_allclose(found.loss, whole.loss, rtol=1e-5)


def test_outputs_and_values_are_the_models_own():
    model = net(3, activation=jnp.tanh)
    found = diagnose_layerwise(model, X, LABELS)
    outputs, values = model.intermediates(X)
    np.testing.assert_allclose(found.outputs, outputs, rtol=1e-4, atol=1e-5)
    assert list(found.values) == ["conv1", "conv2", "conv3", "output"]
    np.testing.assert_allclose(found.values["conv2"], values["activation2"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", short_first(["mlp", "relu", "batch"]))
def test_the_prediction_is_that_of_the_whole_network(case):
    model = CASES[case]()
    whole = predict(model, X, LABELS, losses.cross_entropy, draws=64)
    found = predict_layerwise(model, X, LABELS, draws=64)
    # Other draws of narrow layers: what differs is chance.
    np.testing.assert_allclose(found.std, whole.std, rtol=0.25)
    np.testing.assert_allclose(found.gradient, whole.gradient, rtol=0.25)


def test_a_deeper_chain_compiles_nothing():
    def compiled(depth):
        model = net(depth)
        before = engine.compilations()
        diagnose_layerwise(model, X, LABELS)
        predict_layerwise(model, X, LABELS, draws=2)
        return engine.compilations().since(before).compiled

    compiled(3)
    assert compiled(9) == 0


def test_the_model_is_left_as_it_is():
    model = net(normalization=layers.batch_norm)
    before = [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model))]
    diagnose_layerwise(model, X, LABELS)
    predict_layerwise(model, X, LABELS, draws=2)
    for own, other in zip(before, jax.tree.leaves(nnx.state(model)), strict=True):
        np.testing.assert_array_equal(own, other)


def test_what_is_no_chain_or_has_no_weights_is_refused():
    with pytest.raises(ValueError, match=r"ResNet; expected a jcnn\.layers\.Sequential"):
        diagnose_layerwise(models.ResNet((8, 8, 1), 10, rngs=nnx.Rngs(0)), X, LABELS)
    with pytest.raises(ValueError, match="no layer with weights"):
        predict_layerwise(layers.Sequential(flatten=layers.Flatten()), X, LABELS)
