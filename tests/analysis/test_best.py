"""Comparisons with the best: error rates on simulated studies, ties, few seeds, the bound."""

import numpy as np
import pytest

from jcnn.analysis import could_be_best, seeds_for
from tests.analysis.distributions import EQUAL_ARMS
from tests.slow import short_first


def shares(kind, arms, seeds, studies):
    """How often equal arms rule the first one out, and leave one alone."""
    rng = np.random.default_rng(1)
    out = alone = 0
    for _ in range(studies):
        answer = could_be_best(EQUAL_ARMS[kind](rng, (arms, seeds)))
        out += not answer.left[0]
        alone += answer.left.sum() == 1
    return out / studies, alone / studies


@pytest.mark.parametrize(
    ("arms", "seeds", "studies"),
    short_first([(6, 5, 60), (2, 5, 200), (12, 5, 150)]),
)
@pytest.mark.parametrize("kind", EQUAL_ARMS)
def test_equal_arms_are_seldom_ruled_out(kind, arms, seeds, studies):
    out, alone = shares(kind, arms, seeds, studies)
    # One-sided at 5% for so many studies, with two binomial standard deviations.
    margin = 2 * np.sqrt(0.05 * 0.95 / studies)
    assert out <= 0.05 + margin
    assert alone <= 0.05 + margin


@pytest.mark.parametrize("studies", short_first([40, 200]))
def test_the_bound_holds_and_the_worse_is_ruled_out(studies):
    rng = np.random.default_rng(2)
    means = np.array([0.97, 0.965, 0.969, 0.9, 0.43])
    spreads = np.array([0.01, 0.01, 0.01, 0.02, 0.05])
    held = ruled_out = kept = 0
    for _ in range(studies):
        answer = could_be_best(rng.normal(means[:, None], spreads[:, None], (5, 8)))
        held += means.max() - means[answer.leader] <= answer.bound
        ruled_out += not answer.left[3:].any()
        kept += answer.left[0]
    assert held >= 0.95 * studies
    assert kept >= 0.95 * studies
    assert ruled_out == studies


def test_an_arm_far_behind_is_ruled_out_with_five_seeds_although_it_spreads():
    best = [0.98, 0.981, 0.979, 0.982, 0.98]
    answer = could_be_best([best, [0.30, 0.62, 0.25, 0.55, 0.43]])
    assert answer.left.tolist() == [True, False]
    assert answer.leader == 0
    assert answer.bound == 0
    assert answer.exceeds.tolist() == [0, 0]


def test_the_bound_is_the_most_that_an_arm_left_can_exceed_the_leader_by():
    rng = np.random.default_rng(5)
    answer = could_be_best(rng.normal([[0.9], [0.89], [0.5]], 0.02, (3, 6)))
    assert answer.left.tolist() == [True, True, False]
    assert answer.exceeds[answer.leader] == answer.exceeds[2] == 0
    assert answer.bound == answer.exceeds[1 - answer.leader] > 0


@pytest.mark.parametrize(("bound", "studies"), short_first([(0.01, 20), (0.005, 100)]))
def test_the_seeds_forecast_bring_the_bound(bound, studies):
    """Most studies reach it: spreads are estimates, but the lead is not counted on."""
    rng = np.random.default_rng(6)
    means, spreads = np.array([[0.97], [0.97], [0.965]]), np.array([[0.01], [0.012], [0.008]])
    reached = 0
    for _ in range(studies):
        seeds = seeds_for(rng.normal(means, spreads, (3, 20)), bound)
        reached += could_be_best(rng.normal(means, spreads, (3, seeds))).bound <= bound
    assert reached >= 0.7 * studies


def test_a_forecast_that_cannot_be_made_is_none():
    assert seeds_for([[0.9, 0.8], [0.7, 0.8]], 0.01) is None  # no spread is known
    assert seeds_for(np.random.default_rng(7).normal(size=(2, 5)), 1e-6) is None
    assert seeds_for([[0.9] * 5, [0.1] * 5], 0.01) == 5  # there is nothing left to tell


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_fewer_than_five_seeds_rule_nothing_out(seeds):
    answer = could_be_best([[0.9, 0.91, 0.92, 0.93][:seeds], [0.1, 0.11, 0.12, 0.13][:seeds]])
    assert answer.left.all()
    assert np.isnan(answer.bound) == (seeds < 3)


def test_ties_are_no_evidence():
    same = could_be_best([[0.5] * 5, [0.5] * 5])
    assert same.left.all()
    assert same.bound == pytest.approx(0, abs=1e-6)
    # A difference of a tenth of a step is rounding.
    assert could_be_best([[0.5] * 5, [0.51] * 5], resolution=0.1).left.all()
    assert could_be_best([[0.5] * 5, [0.6] * 5], resolution=0.01).left.tolist() == [False, True]


def test_equal_values_give_an_equal_answer_and_numbers_of_seeds_may_differ():
    rng = np.random.default_rng(3)
    arms = [rng.normal(0.9, 0.01, n) for n in (5, 12, 8)]
    first, again = could_be_best(arms), could_be_best([[*arm, np.nan] for arm in arms])
    np.testing.assert_array_equal(first.p, again.p)
    assert first.bound == again.bound


@pytest.mark.parametrize("arms", [[], [[0.9], []], [[0.9, np.inf], [0.8, 0.7]], [[np.nan]]])
def test_what_cannot_be_compared_is_refused(arms):
    with pytest.raises(ValueError, match="arm"):
        could_be_best(arms)
