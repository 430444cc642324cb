"""The chain rule in numbers agrees with jax.grad and with hand-written derivatives."""

import json
import math

import jax
import jax.numpy as jnp
import pytest

from jcnn.activations import ACTIVATIONS
from jcnn.cli import main
from jcnn.diagnosis import chain_rule
from tests.slow import short_first


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("depth", short_first([2, 1, 7]))
def test_the_product_is_the_gradient(name, depth):
    chain = chain_rule(ACTIVATIONS[name], depth=depth, weight=0.9, x=0.7, target=0.3)
    assert chain.product == pytest.approx(chain.gradient, rel=1e-4, abs=1e-12)
    assert len(chain.factors) == depth + 1


def test_two_sigmoids_by_hand():
    def s(z):
        return 1 / (1 + math.exp(-z))

    h = s(0.5 * 2.0)
    o = s(0.5 * h)
    chain = chain_rule(jax.nn.sigmoid, depth=2, weight=0.5, x=2.0, target=1.0)
    expected = [o - 1.0, o * (1 - o) * 0.5, h * (1 - h) * 2.0]
    assert [factor.value for factor in chain.factors] == pytest.approx(expected, rel=1e-5)
    assert [factor.symbol for factor in chain.factors] == ["dL/dO", "dO/dH1", "dH1/dW1"]
    assert chain.loss == pytest.approx((o - 1) ** 2 / 2, rel=1e-5)


def test_ten_sigmoids_leave_a_millionth_at_most():
    chain = chain_rule(jax.nn.sigmoid, depth=10)
    assert chain.largest_slope == 0.25
    assert chain.bound == 0.25**10 < 1e-6
    assert abs(chain.gradient) < chain.bound
    assert chain_rule(jnp.tanh, depth=10).bound == 1.0


def test_the_command(capsys):
    command = ["explain", "chain-rule", "--activation", "sigmoid", "--depth", "10"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "dO/dH9" in printed
    assert "9.54e-07" in printed
    assert main([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["factors"]) == 11
    assert main(["explain", "chain-rule", "--depth", "0"]) == 1
    assert "depth=0; expected at least 1 layer" in capsys.readouterr().err
