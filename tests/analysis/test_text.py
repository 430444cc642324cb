"""The answer in words: what to use, what it can cost, what is ruled out, and what matters where."""

import re

import numpy as np
import pytest

from jcnn.errors import UsageError
from tests.analysis.planted import planted


def arms(means, spread=0.002, seeds=6, seed=0):
    rng = np.random.default_rng(seed)
    return {levels: mean + rng.normal(0, spread, seeds) for levels, mean in means.items()}


ADDITIVE = {
    ("relu", "none"): 0.80,
    ("relu", "batch"): 0.90,
    ("tanh", "none"): 0.73,
    ("tanh", "batch"): 0.83,
}


def test_a_sole_winner_is_recommended_and_factors_are_compared():
    found = planted(arms(ADDITIVE))
    assert re.fullmatch(
        r"Use relu, batch \(learning rate 0.1\)\. It is better than each of the other 3, which are "
        r"ruled out; the next, tanh batch, reached 8[23]\.\d\d%\.",
        found.verdict(),
    )
    activation, norm = found.effects()
    assert re.fullmatch(r"activation: relu beats tanh by [67]\.\d points \[.*\]\.", activation)
    assert re.fullmatch(r"norm: batch beats none by (9\.\d|10\.\d) points \[.*\]\.", norm)
    assert found.interactions() == []
    assert found.answer.outlook == ""


def test_what_may_still_be_better_is_counted_with_the_cost():
    means = ADDITIVE | {("relu", "layer"): 0.901, ("tanh", "layer"): 0.902}
    found = planted(arms(means))
    assert re.fullmatch(
        r"Use (relu|tanh), (layer|batch) \(learning rate 0.1\)\. 3 of 6 combinations may still be "
        r"the best; choosing this one costs at most 0\.\d points against any of them\. Ruled out: "
        r"norm=none \(7\d\.\d\d% to \d\d\.\d\d%\) and tanh batch \(8\d\.\d\d%\)\.",
        found.verdict(),
    )
    assert re.fullmatch(
        r"\d+ seeds for each of the 3 that are left \(\d+ more trainings\) would lower this cost "
        r"to about 0\.\d points\.",
        found.answer.outlook,
    )


def test_nothing_is_ruled_out_below_five_seeds():
    found = planted(arms(ADDITIVE, seeds=4))
    assert "Any of the 4 combinations may still be the best; choosing this one costs at most" in (
        found.verdict()
    )
    assert found.verdict().endswith("Ruling one out takes 5 seeds (--seeds 5).")
    assert found.answer.ruled_out == frozenset()


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_say_what_came_first_and_no_more(seeds):
    found = planted(arms(ADDITIVE, seeds=seeds))
    assert found.verdict() == (
        "relu, batch came first. Fewer than 3 seeds do not tell combinations apart; 5 can rule "
        "some of them out (--seeds 5)."
    )
    assert found.answer.outlook == ""
    assert all(np.isnan(row.interval.low) for row in found.ranking())
    activation, _ = found.effects()
    assert re.fullmatch(
        r"activation: relu came first, ahead of tanh by \d\.\d points, on too few seeds to judge\.",
        activation,
    )


def test_an_effect_in_one_setting_only_is_told_with_the_setting():
    means = {
        (act, init, norm): 0.97 - 0.4 * ((act, init, norm) == ("sigmoid", "glorot", "none"))
        for act in ("relu", "sigmoid")
        for init in ("he", "glorot")
        for norm in ("none", "batch")
    }
    found = planted(arms(means, seeds=8), factors=("activation", "init", "norm"))
    _, init, norm = found.effects()
    assert re.fullmatch(
        r"init: he beats glorot by (39|40)\.\d points \[.*\] where activation=sigmoid and norm=none"
        r"; he and glorot are within 0\.\d points of each other elsewhere\.",
        init,
    )
    assert "where activation=sigmoid and init=glorot" in norm
    assert "sigmoid glorot none (5" in found.verdict()


def test_a_factor_whose_best_level_depends_on_another_is_told_per_setting():
    means = {
        ("relu", "none"): 0.70,
        ("relu", "batch"): 0.90,
        ("tanh", "none"): 0.85,
        ("tanh", "batch"): 0.85,
    }
    found = planted(arms(means))
    activation, _ = found.effects()
    assert re.fullmatch(
        r"activation: tanh is the best on average, unlike the recommended relu; tanh beats relu by "
        r"1[45]\.\d points \[.*\] where norm=none; relu beats tanh by [45]\.\d points \[.*\] where "
        r"norm=batch; on average tanh is ahead by [45]\.\d points \[.*\]\.",
        activation,
    )
    (one,) = found.interactions()
    assert re.fullmatch(
        r"activation x norm: tanh beats relu by 1[45]\.\d points \[.*\] with none, and is behind "
        r"with batch \(-[45]\.\d points \[.*\]\)\.",
        one,
    )


def test_a_setting_in_which_seeds_fail_does_not_hide_the_others():
    means = {(act, norm): 0.97 for act in ("relu", "tanh", "sigmoid") for norm in "abc"}
    found_arms = arms(means, seeds=5)
    found_arms["sigmoid", "a"] = np.array([0.97, 0.1, 0.96, 0.1, 0.97])
    activation, norm = planted(found_arms).effects()
    assert re.search(
        r"relu was ahead of sigmoid by 3\d\.\d points \[.*\] where norm=a, where seeds differ too "
        r"much to be sure; "
        r"relu and sigmoid are within [01]\.\d points of each other elsewhere",
        activation.replace("tanh", "relu"),
    )
    assert re.search(r"was ahead of a by 3\d\.\d points .* where activation=sigmoid", norm)


def test_equal_combinations_are_within_little_of_each_other():
    same = [0.5, 0.6, 0.7, 0.55, 0.65]
    found = planted({"a": same, "b": same})
    assert found.verdict().startswith(
        "Use a (learning rate 0.1). b may still be better, by at most"
    )
    assert re.fullmatch(r"kind: a and b are within \d+ points of each other\.", found.effects()[0])


def test_a_smaller_error_is_better():
    same = np.linspace(0.5, 0.6, 6)
    found = planted({("relu", "none"): same, ("tanh", "none"): same + 0.3}, metric="error")
    assert found.verdict() == (
        "Use relu, none (learning rate 0.1). It is better than tanh none (0.85), which is ruled "
        "out."
    )
    assert found.effects()[0].startswith("activation: relu beats tanh by 0.3 [0.")
    assert found.ranking()[0].interval.low > 0.4


def test_a_baseline_is_one_family():
    found = planted(arms(ADDITIVE))
    against = found.comparisons({"activation": "tanh", "norm": "none"})
    assert [each.real for each in against] == [True, True, True, False]
    assert against[-1].difference == 0
    with pytest.raises(UsageError, match="matches 2 combinations"):
        found.comparisons({"activation": "tanh"})
    with pytest.raises(UsageError, match="did you mean norm"):
        found.comparisons({"nomr": "none"})


def test_where_the_test_examples_tell_no_more_it_is_said():
    means = {("relu", "batch"): 0.9, ("tanh", "batch"): 0.901}
    found = planted(arms(means), test_examples=50)  # whose errors spread 0.9 by 4 points
    assert found.answer.outlook == (
        "Errors on 50 test examples alone spread an accuracy as much, so more seeds would tell "
        "little."
    )
    assert "more training" in planted(arms(means), test_examples=10**6).answer.outlook
