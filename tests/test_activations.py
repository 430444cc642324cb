"""Activations: formulas, kinks, facts against published constants, names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jcnn import activations, names

FORMULAS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "scaled_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "prelu": lambda x: np.where(x > 0, x, 0.25 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "relu6": lambda x: np.clip(x, 0, 6),
    "identity": lambda x: x,
}

# Published variance-preserving gains (Brock et al. 2021), within 0.2%.
GAINS = {
    "relu": 1.71396,
    "gelu": 1.70150,
    "silu": 1.78813,
    "elu": 1.27160,
    "leaky_relu": 1.70590,
    "log_sigmoid": 1.91935,
    "relu6": 1.71315,
    "selu": 1.00085,
    "sigmoid": 4.80384,
    "softsign": 2.33885,
    "softplus": 1.92033,
    "tanh": 1.59391,
}


def test_every_name_has_a_formula():
    named = {name for name in names.TABLES["activation"] if not name.startswith("learned_")}
    assert set(FORMULAS) == set(activations.ACTIVATIONS) == named


@pytest.mark.parametrize("name", FORMULAS)
def test_values_dtypes_and_derivatives(name):
    function = activations.ACTIVATIONS[name]
    x = np.array([-5.3, -2.1, -0.7, -0.2, 0.1, 0.9, 2.2, 4.9])
    values = function(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(values, FORMULAS[name](x), rtol=2e-5, atol=2e-6)
    for dtype in (jnp.float16, jnp.bfloat16, jnp.float32):
        assert function(jnp.asarray(x, dtype)).dtype == dtype
    h = 1e-5
    numerical = (FORMULAS[name](x + h) - FORMULAS[name](x - h)) / (2 * h)
    derivative = jax.jit(jax.vmap(jax.grad(function)))(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(derivative, numerical, rtol=1e-3, atol=1e-4)


def test_derivatives_at_kinks():
    assert jax.grad(activations.relu)(0.0) == 0.0
    assert jax.grad(activations.prelu)(0.0, 0.25) == 0.25


def test_sigmoid_derivative_is_s_times_one_minus_s():
    x = jnp.linspace(-6, 6, 25)
    s = activations.sigmoid(x)
    np.testing.assert_allclose(
        jax.vmap(jax.grad(activations.sigmoid))(x), s * (1 - s), rtol=1e-4, atol=1e-7
    )


@pytest.mark.parametrize("name", GAINS)
def test_gains_are_the_published_ones(name):
    assert activations.facts(name).variance_gain == pytest.approx(GAINS[name], rel=2e-3)


@pytest.mark.parametrize(
    ("name", "bounds", "centred", "saturates", "slope"),
    [
        ("sigmoid", (0, 1), False, ("low", "high"), 0.25),
        ("tanh", (-1, 1), True, ("low", "high"), 1),
        ("scaled_tanh", (-1.7159, 1.7159), True, ("low", "high"), 1.7159 * 2 / 3),
        ("relu", (0, np.inf), False, ("low",), 1),
        ("relu6", (0, 6), False, ("low", "high"), 1),
        ("softplus", (0, np.inf), False, ("low",), 1),
        ("softsign", (-1, 1), True, ("low", "high"), 1),
        ("log_sigmoid", (-np.inf, 0), False, ("high",), 1),
        ("leaky_relu", (-np.inf, np.inf), False, (), 1),
        ("hard_tanh", (-1, 1), True, ("low", "high"), 1),
        ("identity", (-np.inf, np.inf), True, (), 1),
        ("elu", (-1, np.inf), False, ("low",), 1),
    ],
)
def test_facts(name, bounds, centred, saturates, slope):
    facts = activations.facts(name)
    assert facts.range == pytest.approx(bounds, abs=3e-3)
    assert facts.zero_centred is centred
    assert facts.saturates == saturates
    assert facts.max_derivative == pytest.approx(slope, rel=1e-3)


def test_facts_of_a_custom_function():
    facts = activations.facts(lambda x: 3 * jnp.tanh(x))
    assert facts.max_derivative == pytest.approx(3)
    assert facts.variance_gain == pytest.approx(1.59391 / 3, rel=2e-3)
    assert activations.facts(jax.nn.relu).name == "relu"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (jax.nn.softmax, "softmax: expected an elementwise JAX function, but its values depend"),
        (lambda x: x / jnp.abs(x).max(), "its values depend on the other elements"),
        (jnp.sort, "its values depend on the other elements"),
        (jnp.sum, r"turns shape \(8401,\) into \(\)"),
        (lambda x: 1.0, r"turns shape \(8401,\) into \(\)"),
        (lambda x: (x, x), r"turns shape \(8401,\) into \(2, 8401\)"),
        (np.tanh, "tanh: expected an elementwise JAX function, but .* traced array"),
        (lambda x: x if x > 0 else 0 * x, "elementwise JAX function, but The truth value"),
        (jnp.log, "log: at x = -1000 the value is nan .* expected finite"),
        (jnp.reciprocal, "at x = 0 the value is inf"),
    ],
)
def test_facts_reject_functions_that_are_not_activations(function, message):
    with pytest.raises(ValueError, match=message):
        activations.facts(function)


class Unhashable:
    __hash__ = None

    def __call__(self, x):
        return jnp.tanh(x)


def test_facts_of_unusual_functions():
    assert (
        activations.facts(Unhashable()).variance_gain == activations.facts(jnp.tanh).variance_gain
    )
    exp = activations.facts(jnp.exp)
    assert exp.range == (0, np.inf)
    assert exp.saturates == ("low",)
    assert exp.variance_gain == pytest.approx((np.e * (np.e - 1)) ** -0.5, rel=1e-3)
    for constant, value in ((jnp.zeros_like, 0), (lambda x: jnp.full_like(x, 0.1), 0.1)):
        flat = activations.facts(constant)
        assert flat.variance_gain == np.inf
        assert flat.range == pytest.approx((value, value))
        assert flat.max_derivative == 0
    # Its derivative overflows far out, which the facts ignore.
    naive = activations.facts(lambda x: x / (1 + jnp.exp(-x)))
    assert naive.saturates == ("low",)
    assert naive.max_derivative == pytest.approx(activations.facts("silu").max_derivative)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean relu"):
        activations.facts("relo")


def test_prelu_learns_one_slope_per_channel():
    x = jnp.array([[-2.0, -4.0], [1.0, -1.0]])
    grad = jax.grad(lambda s: activations.prelu(x, s).sum())(jnp.array([0.1, 0.2]))
    assert grad.tolist() == [-2.0, -5.0]
