"""Which runs a study wants: the stages of a race, its limits, and that nothing else decides."""

from collections import Counter

import numpy as np
import pytest

from jcnn.analysis import Result
from jcnn.engine import Outcome
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.allocation import Allocation, Wanted, full_runs

RATES = (1.0, 0.3, 0.1, 0.03, 0.01)
# The accuracy of each combination at its best rate, and the best rate.
BEST = {0: (0.97, 0.1), 1: (0.96, 0.3), 2: (0.60, 0.03)}


def plan(**changed):
    """A study of three combinations."""
    factors = {"activation": ["relu", "tanh", "sigmoid"]}
    return Study(**{"factors": factors, "learning_rates": RATES, "seeds": 5} | changed)


def outcome(run, spread=0.01):
    """An accuracy that falls with the distance from the best rate; 1.0 diverges."""
    best, at = BEST[run.combination]
    rng = np.random.default_rng([run.combination, run.seed, int(1000 * run.learning_rate)])
    value = best - 0.05 * abs(np.log10(run.learning_rate / at)) + spread * rng.normal()
    value = float(np.clip(value, 0.0, 1.0))
    ended = 3 if run.learning_rate == 1.0 else None
    return Outcome({"validation_accuracy": [value]}, {"accuracy": value}, ended, steps=10)


def allocation_of(study):
    names = [combination.names() for combination in study.combinations]
    return Allocation(study, Result(study.describe(), "accuracy", True, names))


def trained(study, at_once=1000, failures=None, value=outcome):
    """The runs that a study wants in the end if so many of them are trained at a time."""
    allocation, outcomes, stages = allocation_of(study), {}, []
    while True:
        wanted = allocation.wanted(outcomes, failures or {})
        assert len(set(wanted)) == len(wanted)
        missing = [run for run in wanted if run not in outcomes]
        if not missing:
            return wanted, stages
        stages.append(missing)
        outcomes |= {run: value(run) for run in missing[:at_once]}


def test_rates_are_halved_and_then_combinations_raced():
    wanted, stages = trained(plan())
    assert [len(stage) for stage in stages[:3]] == [15, 12, 6]
    assert {run.seed for run in stages[0]} == {0}
    kept = {i: {run.learning_rate for run in stages[1] if run.combination == i} for i in BEST}
    assert kept[0] == {0.1, 0.3} or kept[0] == {0.1, 0.03}
    assert all(best[1] in kept[i] for i, best in BEST.items())
    assert {(run.combination, run.learning_rate) for run in stages[2]} == {
        (i, rate) for i, (_, rate) in BEST.items()
    }
    assert {run.seed for run in stages[2]} == {3, 4}
    # The worst is ruled out at the first look; the others go on to as many seeds as fit.
    assert [Counter(run.combination for run in stage) for stage in stages[3:5]] == [
        {0: 3, 1: 3},
        {0: 4, 1: 4},
    ]
    assert len(wanted) <= plan().runs


def test_a_rate_that_diverges_is_not_kept():
    _, stages = trained(plan())
    assert all(run.learning_rate != 1.0 for run in stages[1])


@pytest.mark.parametrize(
    "changed",
    [{}, {"within": 0.7}, {"max_runs": 50}, {"extend_learning_rates": True}, {"seeds": [9, 4, 7]}],
)
def test_the_runs_do_not_depend_on_the_order_in_which_they_finish(changed):
    study = plan(**changed)
    whole, _ = trained(study)
    one_by_one, _ = trained(study, at_once=1)
    assert one_by_one == whole
    allocation, outcomes = allocation_of(study), {}
    rng = np.random.default_rng(0)
    while missing := [r for r in allocation.wanted(outcomes, {}) if r not in outcomes]:
        run = missing[rng.integers(len(missing))]
        outcomes[run] = outcome(run)
    assert allocation.wanted(outcomes, {}) == whole


def test_runs_that_are_not_wanted_yet_decide_nothing():
    """A ledger may hold the runs of a full grid."""
    study = plan()
    everything = {
        Wanted(i, rate, seed): outcome(Wanted(i, rate, seed))
        for i in BEST for rate in RATES for seed in range(40)
    }  # fmt: skip
    assert allocation_of(study).wanted(everything, {}) == trained(study)[0]


def test_a_race_takes_no_more_than_the_full_grid_unless_told_to():
    def equal(run):
        return outcome(run._replace(combination=0))

    for seeds in (1, 2, 3, 5, 10):
        for rates in (RATES[1:2], RATES[1:3], RATES):
            study = plan(seeds=seeds, learning_rates=rates)
            assert len(trained(study, value=equal)[0]) <= study.runs
    wanted, _ = trained(plan(within=1e-6), value=equal)
    assert {run.seed for run in wanted} == set(range(40))


def test_a_race_stops_where_the_test_examples_tell_no_more():
    """Unless another bound is asked for; a loss has no such limit."""

    def equal(run):
        return outcome(run._replace(combination=0))

    def most_seeds(study, test_examples):
        names = [combination.names() for combination in study.combinations]
        empty = Result(study.describe(), "accuracy", True, names, test_examples=test_examples)
        allocation, outcomes = Allocation(study, empty), {}
        while missing := [r for r in allocation.wanted(outcomes, {}) if r not in outcomes]:
            outcomes |= {run: equal(run) for run in missing}
        return len({run.seed for run in outcomes})

    many = {"learning_rates": RATES[2:3], "max_runs": 200}
    assert most_seeds(plan(**many), 0) == 40  # unknown
    assert most_seeds(plan(**many), 100) < 27  # 1.7%
    assert most_seeds(plan(**many), 10**6) == 40
    assert most_seeds(plan(within=0.0, **many), 100) == 40
    assert most_seeds(plan(within=0.0, **many | {"max_runs": None}), 100) == 40


def test_a_bound_that_is_small_enough_ends_the_race():
    loose, _ = trained(plan(within=50.0))
    tight, _ = trained(plan(within=0.2))
    assert len(loose) == 33  # the first look
    assert len(tight) > len(loose)


def test_a_number_of_runs_ends_it_and_gives_each_combination_one_first():
    for most in range(1, 60, 7):
        wanted, stages = trained(plan(max_runs=most))
        assert len(wanted) <= most
        assert wanted[:3] == [Wanted(i, 0.1, 0) for i in range(3)][:most]
    assert len(stages[0]) == 3


def test_rates_are_extended_before_they_are_halved():
    study = plan(learning_rates=(0.03, 0.01), extend_learning_rates=True)
    wanted, stages = trained(study)
    assert [len(stage) for stage in stages[:2]] == [6, 3]
    assert {run.seed for stage in stages[:2] for run in stage} == {0}
    rates = {run.learning_rate for run in wanted if run.combination == 1}
    assert max(rates) > 0.3


def test_rates_that_are_behind_after_some_epochs_are_not_trained_to_the_end():
    study = plan(halving_epochs=3)
    wanted, stages = trained(study)
    assert [(len(stage), {run.short for run in stage}) for stage in stages[:4]] == [
        (15, {True}), (6, {False}), (12, {False}), (6, {False}),
    ]  # fmt: skip
    kept = {(run.combination, run.learning_rate) for run in stages[1]}
    assert {(i, rate) for i, (_, rate) in BEST.items()} < kept
    assert {(run.combination, run.learning_rate) for run in wanted if not run.short} == kept
    assert full_runs(study, wanted) <= study.runs
    assert full_runs(study, stages[0]) == 3  # a fifth of the epochs


def test_short_runs_are_extended_as_long_ones_are():
    wanted, _ = trained(
        plan(learning_rates=(0.03, 0.01), extend_learning_rates=True, halving_epochs=1)
    )
    assert max(run.learning_rate for run in wanted if run.short) > 0.3


def test_a_combination_that_cannot_be_trained_is_left_out():
    wanted, stages = trained(plan(), failures={0: "does not fit"})
    assert {run.combination for run in wanted} == {1, 2}
    assert len(stages[0]) == 10


def test_the_full_grid_and_a_single_combination_train_everything():
    assert [len(stage) for stage in trained(plan(full_grid=True))[1]] == [75]
    one = plan(factors={"activation": ["relu"]}, seeds=3)
    assert [len(stage) for stage in trained(one)[1]] == [15]


def test_seeds_that_are_named_come_first():
    wanted, _ = trained(plan(seeds=[9, 4, 7]))
    assert list(dict.fromkeys(run.seed for run in wanted))[:5] == [4, 7, 9, 10, 11]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"within": -0.1}, "within=-0.1; expected 0 or a positive number"),
        ({"max_runs": 0}, "max_runs=0; expected a whole number of at least 1"),
        ({"budget": "soon"}, "budget='soon'; expected a time such as 90s, 10m or 1.5h"),
        ({"budget": -1}, "budget=-1; expected a time"),
        ({"halving_epochs": 15}, "halving_epochs=15; expected fewer than epochs=15"),
        ({"halving_epochs": 3, "full_grid": True}, "halving_epochs applies to studies of several"),
        (
            {"halving_epochs": 3, "factors": {"schedule": ["constant", "cosine"]}},
            "the learning rates of schedule=cosine depend on the number of epochs",
        ),
        ({"full_grid": True, "within": 1.0}, "full_grid trains everything; drop it"),
        ({"full_grid": True, "within": 0.0}, "full_grid trains everything; drop it"),
    ],
)
def test_limits_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(UsageError) as caught:
        plan(**changed)
    assert message in str(caught.value)
