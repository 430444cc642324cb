"""Limits of a model's size, by depth and by memory."""

import re

import pytest
from flax import nnx

from jcnn import models
from jcnn.errors import UsageError
from jcnn.study import limits
from jcnn.study.plan import Plan


def mlp(width):
    return models.mlp((10,), 2, hidden=(width,), rngs=nnx.Rngs(0))


def plan(model, depth):
    return Plan(model=model, factors={"depth": [depth]})


@pytest.mark.parametrize("depth", [1, 250, None])
def test_depths_of_our_models(depth):
    assert plan("plain", depth).runs == 25


@pytest.mark.parametrize("depth", [251, 10**19, float("nan"), float("inf")])
@pytest.mark.parametrize("model", ["plain", "resnet", models.plain_cnn])
def test_a_depth_beyond_the_limit(model, depth):
    with pytest.raises(UsageError, match=re.escape(f"depth={depth}; expected at most 250")):
        plan(model, depth)


def test_the_depth_of_other_models_is_theirs():
    assert plan(lambda depth, rngs: None, 1000).runs == 25


def test_the_memory_of_a_model_is_compared_with_the_machine(monkeypatch):
    numbers = 10 * 100 + 100 + 100 * 2 + 2  # kernels and biases
    monkeypatch.setattr(limits, "memory_bytes", lambda: 3 * 4 * numbers)
    assert limits.too_large(mlp(100)) is None
    monkeypatch.setattr(limits, "memory_bytes", lambda: 3 * 4 * numbers - 1)
    assert "it has 1,302 parameters" in limits.too_large(mlp(100))
    monkeypatch.setattr(limits, "memory_bytes", lambda: None)
    assert limits.too_large(mlp(100)) is None


def test_an_abstract_model_takes_no_memory():
    abstract = nnx.eval_shape(lambda: mlp(10**12))
    assert "it has 13,000,000,000,002 parameters" in limits.too_large(abstract)


def test_the_memory_of_this_machine():
    assert 10**8 < limits.memory_bytes() < 10**15
