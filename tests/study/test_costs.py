"""The costs of combinations: what a summary counts, stored and loaded, and the front by them."""

import json
import math
from dataclasses import replace

import pytest
from flax import nnx

import jcnn
from jcnn import layers
from jcnn.cli.main import main
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.costs import model_costs
from jcnn.study.storage.load import read_result
from tests.small import blobs, study

EASY = blobs(200, features=4, distance=3)
SIZES = {"hidden": [(4,), (32,)], "kernel_init": ["he_normal", "zeros"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("costs")
    return study(data=EASY, factors=SIZES, seeds=5, epochs=10).run(directory), directory


def test_costs_are_those_of_a_summary(finished):
    result, _ = finished
    for index, hidden in ((0, 4), (1, 4), (2, 32), (3, 32)):
        model = jcnn.models.mlp((4,), 2, hidden=(hidden,), rngs=nnx.Rngs(0))
        summary = jcnn.summarize(model, (4,))
        assert result.costs["parameters"][index] == summary.parameters == hidden * 7 + 2
        assert result.costs["flops"][index] == summary.flops


def test_costs_are_stored_and_those_of_earlier_versions_are_unknown(finished):
    result, directory = finished
    loaded = read_result(directory)
    assert loaded.costs == result.costs
    assert loaded.front("flops") == result.front("flops")
    content = json.loads((directory / "results.json").read_text())
    assert content["costs"] == result.costs
    old = replace(result, costs={})
    with pytest.raises(UsageError, match="cost"):
        old.front("parameters")
    assert len(old.front("seconds")) == 4


def test_the_front_by_size(finished):
    result, _ = finished
    front = result.front("parameters")
    assert [each.cost for each in front] == [30, 30, 226, 226]
    zeros = [each for each in front if each.row.levels["kernel_init"] == "zeros"]
    assert all(each.dominated and not each.certain for each in zeros)
    assert all(each.by.levels["kernel_init"] == "he_normal" for each in zeros)
    assert front[0].row.mean >= front[1].row.mean  # equal costs: the better first
    assert front[0].certain
    with pytest.raises(UsageError, match="unknown cost 'flop'; did you mean flops"):
        result.front("flop")
    with pytest.raises(UsageError, match="seconds are unknown, or seconds to 90%"):
        result.by("seconds:0.9").front("seconds")


def test_a_model_that_is_not_traced_has_unknown_costs():
    class Odd(nnx.Module):
        def __init__(self, input_shape, outputs, *, rngs):
            self.dense = layers.Dense(input_shape[0], outputs, rngs=rngs)

        def __call__(self, x):
            if x.shape[0] == 2:
                raise ValueError("no batches of two")
            return self.dense(x)

    one = Study(data=blobs(80, features=4), model=Odd, factors={}, epochs=1, batch_size=16)
    costs = model_costs(one.jobs(one.prepare()))
    assert all(math.isnan(value) for values in costs.values() for value in values)


def test_a_metric_that_is_not_tested_has_no_front(finished, capsys):
    _, directory = finished
    words = ["runs", "show", str(directory), "--metric", "seconds:0.6", "--cost", "parameters"]
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "no front of parameters: parameters are unknown, or seconds to 60%" in printed
    assert "on the front" not in printed


def test_the_command_lists_combinations_by_cost(finished, capsys):
    _, directory = finished
    assert main(["runs", "show", str(directory), "--cost", "parameters"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "parameters test accuracy combination on the front" in text
    assert "226" in text
    assert "4 zeros no: 4 he_normal" in text
    assert "yes if it is better than every combination that costs no more" in text
