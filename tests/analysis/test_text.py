"""The answer in words: what is real, what interacts, and what too few seeds cannot tell."""

import re

import numpy as np
import pytest

from jcnn import engine
from jcnn.analysis.result import Result, RunRecord
from jcnn.engine import Outcome
from jcnn.errors import UsageError


def planted(levels, seeds=6, metric="accuracy"):
    """A result whose combinations have these test values by seed."""
    records = [
        RunRecord(
            i,
            0.1,
            seed,
            engine.Outcome({f"validation_{metric}": [0.5]}, {metric: float(value)}),
        )
        for i, values in enumerate(levels.values())
        for seed, value in zip(range(seeds), values, strict=True)
    ]
    names = [dict(zip(("activation", "norm"), name, strict=True)) for name in levels]
    return Result({}, metric, metric == "accuracy", names, records)


def test_the_answer_in_words_says_what_is_real():
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 0.05, 6)

    def arm(mean):
        return mean + seed + rng.normal(0, 0.002, 6)

    found = planted(
        {
            ("relu", "none"): arm(0.80),
            ("relu", "batch"): arm(0.90),
            ("tanh", "none"): arm(0.70),
            ("tanh", "batch"): arm(0.85),
        }
    )
    assert found.verdict().startswith("relu batch is best: ahead of every other")
    assert re.search(r"of the next \(tanh batch\) by (4\.9|5\.\d) points \[4", found.verdict())
    activation, norm = found.effects()
    assert activation.startswith("activation: relu beats tanh by 7.")
    assert norm.startswith("norm: batch beats none by 12.")
    one = found.comparisons()[0]
    assert one.real
    assert one.improves == 1.0
    against = found.comparisons({"activation": "tanh", "norm": "none"})
    assert [c.real for c in against] == [True, True, True, False]
    assert against[-1].difference == 0
    with pytest.raises(UsageError, match="matches 2 combinations"):
        found.comparisons({"activation": "tanh"})
    with pytest.raises(UsageError, match="did you mean norm"):
        found.comparisons({"nomr": "none"})


def test_an_interaction_in_words():
    rng = np.random.default_rng(0)
    seed = rng.normal(0, 0.05, 6)

    def arm(mean):
        return mean + seed + rng.normal(0, 0.002, 6)

    cells = {
        ("relu", "none"): arm(0.70),
        ("relu", "batch"): arm(0.90),
        ("tanh", "none"): arm(0.80),
        ("tanh", "batch"): arm(0.80),
    }
    (one,) = planted(cells).interactions()
    assert re.fullmatch(
        r"activation x norm: (relu beats tanh|tanh beats relu) by (9\.\d|10\.\d) points .* with "
        r"(none|batch), and is behind with (none|batch) \(-.*; corrected p < 0.001",
        one,
    )
    cells[("tanh", "none")] = cells[("relu", "none")] - 0.1 + 0.001 * np.arange(6)
    cells[("tanh", "batch")] = cells[("relu", "batch")] + 0.001 * np.array([1, -1, 1, -1, 1, -1])
    (one,) = planted(cells).interactions()
    assert "relu beats tanh by 9.7" in one
    assert "with none, not with batch" in one
    cells[("tanh", "none")] = cells[("relu", "none")] - 0.1 + 0.001 * np.arange(6)
    cells[("tanh", "batch")] = cells[("relu", "batch")] - 0.1 + 0.001 * np.arange(6)[::-1]
    assert planted(cells).interactions() == []
    assert planted({("relu", "none"): [0.5]}, seeds=1).interactions() == []


def test_the_answer_in_words_owns_to_too_few_seeds():
    same = np.linspace(0.5, 0.6, 6)
    found = planted(
        {("relu", "none"): same, ("tanh", "none"): same - np.array([1, -1, 1, -1, 1, 0]) * 0.01}
    )
    assert found.verdict().startswith("not enough seeds to tell relu none from tanh none")
    assert "would do" in found.verdict()
    assert "not enough seeds to tell relu from tanh" in found.effects()[0]
    single = planted({("relu", "none"): [0.5], ("tanh", "none"): [0.4]}, seeds=1)
    assert "one seed cannot tell" in single.verdict()
    assert "on one seed" in single.effects()[0]
    lower = planted(
        {("relu", "none"): same, ("tanh", "none"): same + 0.2 + 0.01 * same}, metric="error"
    )
    assert lower.verdict().startswith("relu none is best")
    assert "by 0.20" in lower.verdict()


def test_levels_that_do_the_same_on_every_seed_are_told_as_equal():
    def result(values):
        names = list(values)
        records = [
            RunRecord(i, 0.1, seed, Outcome({"validation_accuracy": [v]}, {"accuracy": v}))
            for i, name in enumerate(names)
            for seed, v in enumerate(values[name])
        ]
        return Result({}, "accuracy", True, [{"activation": name} for name in names], records)

    same = result({"a": [0.5, 0.6, 0.7], "b": [0.5, 0.6, 0.7]})
    assert same.verdict() == "a and b do equally well on every seed"
    assert same.effects() == ["activation: a and b do equally well on every seed"]
    three = result({"a": [0.5, 0.6, 0.7], "b": [0.5, 0.6, 0.7], "c": [0.1, 0.21, 0.3]})
    assert three.verdict() == "a and b do equally well on every seed; ahead of the other 1"
    assert "beats c by" in three.effects()[0]
    assert "equally" not in result({"a": [0.5, 0.7], "b": [0.7, 0.5]}).verdict()
