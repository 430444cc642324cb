"""What `jcnn.testing.assert_layer` must catch, and what it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers
from jcnn.testing import assert_layer
from tests.small import images


@jax.custom_jvp
def wrong_gradient(x):
    return x * 2


wrong_gradient.defjvp(lambda primals, tangents: (primals[0] * 2, tangents[0] * 3))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda x: x.astype(jnp.bfloat16), "dtype"),
        (lambda x: x[:, :1], "shape"),
        (lambda x: x / 0, "[Ff]inite|NaN|nan|inf"),
        (lambda x: x - x.mean(0, keepdims=True), "batch"),
        (wrong_gradient, "[Jj]vp|JVP|close|equal"),
        (lambda x: jnp.asarray(np.random.default_rng().normal(size=x.shape), jnp.float32), "jit"),
        (lambda x: x / 0, "output: expected finite values"),
        (lambda x: jnp.sqrt(x - x), "gradient for the input: expected finite values"),
        (layers.Dropout(0.5, rngs=nnx.Rngs(0)), r"batch: .* call layer.eval\(\) first"),
        (lambda x: jnp.abs(x - images(2, 3)[:1]), "choose x away from kinks"),
    ],
)
def test_assert_layer_catches(layer, message):
    with pytest.raises(AssertionError, match=message):
        assert_layer(layer, images(2, 3), shape=(2, 3))


@pytest.mark.parametrize(
    ("layer", "x", "error", "message"),
    [
        (lambda x: (x, x), images(2, 3), AssertionError, "returned tuple; expected one array"),
        (lambda x: None, images(2, 3), AssertionError, "returned NoneType; expected one array"),
        (jnp.mean, images(2, 3), AssertionError, r"output for 2 examples has shape \(\)"),
        (lambda x: x @ jnp.ones((3, len(x))), images(2, 3), AssertionError, "example 0 alone"),
        (jnp.abs, jnp.ones((2, 3), jnp.int32), ValueError, "x is int32 .* floating batch"),
        (jnp.tanh, images(0, 3), ValueError, r"shape \(0, 3\); expected a floating batch"),
        (jnp.tanh, jnp.float32(1), ValueError, r"shape \(\); expected a floating batch"),
    ],
)
def test_assert_layer_names_the_problem(layer, x, error, message, unchecked_types):
    with pytest.raises(error, match=message):
        assert_layer(layer, x)
