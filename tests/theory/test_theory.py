"""Mean-field theory against published constants, independent quadrature, and wide networks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jcnn import theory
from jcnn.activations import ACTIVATIONS
from jcnn.quadrature import Smooth, expectation, pair_expectation
from jcnn.theory._mean_field import correlation_map
from tests.slow import short_first

# Brock et al. 2021, "Characterizing signal propagation", appendix D.
GAINS = {
    "relu": 1.71396, "gelu": 1.70150, "silu": 1.78813, "elu": 1.27160, "leaky_relu": 1.70590,
    "log_sigmoid": 1.91935, "relu6": 1.71315, "selu": 1.00085, "sigmoid": 4.80384,
    "softsign": 2.33885, "softplus": 1.92033, "tanh": 1.59391,
}  # fmt: skip


@pytest.mark.parametrize("name", GAINS)
def test_the_published_gains(name):
    assert theory.variance_gain(ACTIVATIONS[name]) == pytest.approx(GAINS[name], rel=2e-3)


def test_gains_known_in_closed_form():
    assert theory.variance_gain(jax.nn.relu) == pytest.approx(
        (0.5 - 0.5 / math.pi) ** -0.5, rel=1e-12
    )
    assert theory.variance_gain(jax.nn.selu) == pytest.approx(1.0, abs=3e-8)
    assert theory.variance_gain(lambda x: 0.0 * x) == math.inf


@pytest.mark.slow
def test_the_edge_of_chaos_of_tanh():
    assert theory.critical_weight_variance(jnp.tanh, 0.05) == pytest.approx(1.7610, abs=1e-4)


def test_the_edge_of_chaos_of_relu_and_a_point_at_that_of_tanh():
    assert theory.critical_weight_variance(jax.nn.relu) == pytest.approx(2.0, abs=1e-9)
    assert math.isnan(theory.critical_weight_variance(lambda x: 0.0 * x, 1.0))
    found = theory.mean_field(jnp.tanh, weight_variance=1.05, bias_variance=2.01e-5)
    assert found.chi == pytest.approx(1.0000002, abs=1e-7)
    assert found.variance == pytest.approx(0.0259, abs=1e-4)
    assert found.phase == "critical"


@pytest.mark.parametrize(
    ("weight_variance", "six_depths"),
    [(1.0, 22), (1.2, 36), (1.4, 64), (1.6, 162), (1.9, 236), (2.2, 97), (2.5, 71), (3, 54),
     (4, 42)],
)  # fmt: skip
def test_depth_scales_of_tanh(weight_variance, six_depths):
    point = theory.mean_field(jnp.tanh, weight_variance=float(weight_variance), bias_variance=0.05)
    assert 6 * point.correlation_depth == pytest.approx(six_depths, rel=0.025)
    assert point.phase == ("ordered" if weight_variance < 1.761 else "chaotic")
    assert (point.correlation < 1) == (point.phase == "chaotic")


def test_signals_that_die_or_explode():
    dead = theory.mean_field(jax.nn.relu, weight_variance=1.5)
    assert (dead.variance, dead.phase) == (0.0, "ordered")
    assert theory.mean_field(jax.nn.relu, weight_variance=2.5).variance == math.inf
    edge = theory.mean_field(jax.nn.relu, weight_variance=2.0)
    assert (edge.variance, edge.phase, edge.correlation_depth) == (1.0, "critical", math.inf)
    assert theory.mean_field(jnp.tanh, weight_variance=0.5).variance == 0.0


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "relu6", "softplus"])
def test_averages_against_adaptive_quadrature(name):
    smooth = Smooth(ACTIVATIONS[name])
    for variance in (0.3, 4.0):

        def integrand(z, scale=variance**0.5):
            return float(smooth.value(np.array([scale * z]))[0]) ** 2 * stats.norm.pdf(z)

        expected, _ = integrate.quad(integrand, -10, 10, points=[0.0, 6 / variance**0.5], limit=200)
        assert expectation(lambda x: smooth.value(x) ** 2, variance) == pytest.approx(
            expected, rel=1e-6
        )  # fmt: skip


def test_the_correlation_map_of_relu_in_closed_form():
    """Cho & Saul 2009: (sqrt(1 - c^2) + c (pi - arccos c)) / pi."""
    smooth = Smooth(jax.nn.relu)
    for c in (-0.9, 0.0, 0.5, 0.99, 1.0):
        expected = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        assert correlation_map(smooth, c, 1.7, 2.0, 0.0) == pytest.approx(expected, abs=2e-5)
    assert pair_expectation(lambda x: x, 2.0, 0.3) == pytest.approx(0.6)


def test_the_correlation_of_a_wide_network():
    point = theory.mean_field(jnp.tanh, weight_variance=3.0, bias_variance=0.05)
    rng = np.random.default_rng(0)
    width, layers, ends = 1500, 50, []
    h = rng.normal(size=(2, width)) * math.sqrt(point.variance)
    for _ in range(layers):
        w = rng.normal(size=(width, width)) * math.sqrt(3.0 / width)
        h = np.tanh(h) @ w + rng.normal(size=width) * math.sqrt(0.05)
        ends.append([np.mean(h[0] ** 2), np.mean(h[0] * h[1]) / np.mean(h[0] ** 2)])
    variance, correlation = np.mean(ends[-15:], axis=0)
    assert point.correlation < 0.7
    assert variance == pytest.approx(point.variance, rel=0.03)
    assert correlation == pytest.approx(point.correlation, rel=0.05)


def test_batch_norms_gradient_growth():
    closed = math.sqrt(math.pi / (math.pi - 1))
    assert theory.batch_norm_gradient_growth(jax.nn.relu) == pytest.approx(closed, rel=1e-9)
    assert theory.batch_norm_gradient_growth(jnp.tanh) == pytest.approx(1.085, abs=1e-3)
    assert theory.batch_norm_gradient_growth(jax.nn.identity) == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(ValueError, match="a constant function"):
        theory.batch_norm_gradient_growth(lambda x: 0.0 * x)


@pytest.mark.parametrize(
    ("name", "weight_variance", "variance"),
    short_first(
        [("tanh", 1 / 3, 0.5), ("relu", 2.0, 1.0), ("tanh", 1.0, 1.0), ("sigmoid", 1.0, 1.0),
         ("gelu", 1.5, 2.0), ("identity", 1.0, 1.0)],
        2,
    ),
)  # fmt: skip
def test_singular_values_against_those_of_a_wide_layer(name, weight_variance, variance):
    """The pre-activations are the normal distribution's quantiles: only W is drawn."""
    width = 1000
    function = ACTIVATIONS[name]
    h = stats.norm.ppf((np.arange(width) + 0.5) / width) * math.sqrt(variance)
    w = np.random.default_rng(0).normal(size=(width, width)) * math.sqrt(weight_variance / width)
    drawn = np.linalg.svd(Smooth(function).slope(h)[:, None] * w, compute_uv=False)
    point = theory.singular_values(
        function, weight_variance=float(weight_variance), variance=float(variance)
    )
    assert point.mean == pytest.approx(drawn.mean(), rel=5e-3)
    assert point.largest == pytest.approx(drawn.max(), rel=0.02)
    assert point.root_mean_square == pytest.approx(math.sqrt((drawn**2).mean()), rel=5e-3)


def measured_ratios(function, depth, weight_variance, width, seeds):
    """|dL/dh| of the first hidden layer over the last's, in a random network, by jax.grad."""

    @jax.jit
    def ends(key):
        keys = jax.random.split(key, depth + 1)
        first = jax.random.normal(keys[0], (64, width))
        readout = jax.random.normal(keys[depth], (width,))

        def layer(h, k):
            w = jax.random.normal(k, (width, width)) * math.sqrt(weight_variance / width)
            return function(h) @ w, None

        def loss(first, last):
            h, _ = jax.lax.scan(layer, first, keys[1:depth])
            return jnp.sum((h + last) @ readout)

        return jax.grad(loss, (0, 1))(first, jnp.zeros((64, width)))

    def norm(array):  # squares of 1e-27 are nothing in float32
        return np.linalg.norm(np.asarray(array, np.float64))

    pairs = [map(norm, ends(jax.random.key(seed))) for seed in range(seeds)]
    return [first / last for first, last in pairs]


@pytest.mark.parametrize("depth", short_first([5, 20, 40]))
@pytest.mark.parametrize("weight_variance", short_first([2.0, 1.0]), ids=["he", "glorot"])
@pytest.mark.parametrize("name", short_first(["relu", "tanh", "sigmoid"]))
def test_gradient_ratios_of_random_networks(name, weight_variance, depth):
    """Within 15% of what is predicted, at width 512, over depths 5 to 40."""
    function = ACTIVATIONS[name]
    measured = np.exp(np.mean(np.log(measured_ratios(function, depth, weight_variance, 512, 5))))
    predicted = theory.gradient_ratio(
        theory.propagate(function, depth, weight_variance=weight_variance)
    )
    assert measured == pytest.approx(predicted, rel=0.15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.mean_field(jnp.tanh, weight_variance=-1.0), "weight_variance=-1.0"),
        (lambda: theory.propagate(jnp.tanh, 0, weight_variance=1.0), "depth=0"),
        (lambda: theory.singular_values(jnp.tanh, weight_variance=1.0, variance=0.0), "variance=0"),
        (lambda: theory.variance_gain(lambda x: x / 0.0), "not finite at"),
        (
            lambda: theory.variance_gain(jnp.sum),
            "expected an elementwise function; this one returns shape",
        ),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
