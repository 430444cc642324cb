"""What the checks of `jcnn.testing` must catch, what they say, and the fixtures of pytest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jcnn import layers, models
from jcnn.testing import assert_healthy, assert_layer
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


def deep(activation):
    model = models.plain_cnn((8, 8, 1), 10, depth=12, activation=activation, rngs=nnx.Rngs(0))
    return model, images(32, 8, 8, 1), jnp.arange(32) % 10


def test_a_network_that_trains_badly_turns_a_test_red():
    with pytest.raises(AssertionError) as caught:
        assert_healthy(*deep(nnx.sigmoid))
    first, *_ = lines = str(caught.value).splitlines()
    assert first.startswith("vanishing at conv")
    assert any(line.startswith("try ") for line in lines)
    kinds = {line.partition(" at ")[0] for line in lines if " at " in line}
    assert_healthy(*deep(nnx.sigmoid), allow=sorted(kinds))
    assert_healthy(*deep(nnx.relu))


def test_what_is_not_seen_is_not_healthy():
    class Hidden(nnx.Module):
        def __init__(self):
            self.dense = nnx.Linear(6, 6, rngs=nnx.Rngs(0))
            self.inside = nnx.Linear(6, 6, rngs=nnx.Rngs(0))

        def __call__(self, x):
            kernel = self.inside.kernel.get_value()
            return jax.lax.cond(x.sum() > 0, lambda x: x @ kernel, lambda x: x, self.dense(x))

    batch = images(8, 6), jnp.arange(8) % 6
    with pytest.raises(AssertionError, match="not seen: inside"):
        assert_healthy(Hidden(), *batch)
    assert_healthy(Hidden(), *batch, allow=["not seen"])


def test_the_fixtures_of_pytest(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_without(request):
            assert "jcnn.testing" not in sys.modules

        def test_layer(assert_layer):
            import jax.numpy as jnp
            assert_layer(jnp.tanh, jnp.linspace(-1.0, 1.0, 6).reshape(2, 3))

        def test_network(assert_healthy):
            import jax, jax.numpy as jnp
            from flax import nnx
            from jcnn import models
            model = models.plain_cnn(
                (8, 8, 1), 10, depth=12, activation=nnx.sigmoid, rngs=nnx.Rngs(0)
            )
            x = jax.random.normal(jax.random.key(0), (32, 8, 8, 1))
            assert_healthy(model, x, jnp.arange(32) % 10)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: vanishing at conv*"])
    result.stdout.no_fnmatch_line("*jcnn/testing.py*")
