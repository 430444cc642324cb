"""Comparisons with the best: error rates on simulated studies, ties, few seeds, the bound."""

import numpy as np
import pytest

from jcnn.analysis import could_be_best
from tests.slow import short_first

KINDS = {
    "normal": lambda rng, size: rng.normal(0.9, 0.01, size),
    "binomial": lambda rng, size: rng.binomial(359, 0.97, size) / 359,
    "few examples": lambda rng, size: rng.binomial(50, 0.9, size) / 50,
    "heavy tails": lambda rng, size: 0.9 + 0.01 * rng.standard_t(3, size),
    "skewed": lambda rng, size: 1 - 0.02 * rng.exponential(size=size),
    "collapses": lambda rng, size: np.where(
        rng.random(size) < 0.1, 0.1, rng.normal(0.9, 0.01, size)
    ),
}


def shares(kind, arms, seeds, studies):
    """How often equal arms rule the first one out, leave one alone, and break the bound."""
    rng = np.random.default_rng(1)
    out = alone = broken = 0
    for _ in range(studies):
        answer = could_be_best(KINDS[kind](rng, (arms, seeds)))
        out += not answer.left[0]
        alone += answer.left.sum() == 1
        broken += answer.bound < 0  # all means are equal, so no arm exceeds the leader
    return out / studies, alone / studies, broken / studies


@pytest.mark.parametrize(
    ("arms", "seeds", "studies"),
    short_first([(6, 5, 60), (2, 5, 200), (12, 5, 150)]),
)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_arms_are_seldom_ruled_out(kind, arms, seeds, studies):
    out, alone, broken = shares(kind, arms, seeds, studies)
    # One-sided at 5% for so many studies, with two binomial standard deviations.
    margin = 2 * np.sqrt(0.05 * 0.95 / studies)
    assert out <= 0.05 + margin
    assert alone <= 0.05 + margin
    assert broken == 0


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


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_fewer_than_five_seeds_rule_nothing_out(seeds):
    answer = could_be_best([[0.9, 0.91, 0.92, 0.93][:seeds], [0.1, 0.11, 0.12, 0.13][:seeds]])
    assert answer.left.all()
    assert np.isnan(answer.bound) == (seeds == 1)


def test_ties_are_no_evidence():
    same = could_be_best([[0.5] * 5, [0.5] * 5])
    assert same.left.all()
    assert same.bound == pytest.approx(0, abs=1e-6)
    # One more correct answer of 100 on every seed is one step, which rounding explains.
    step = could_be_best([[0.5] * 5, [0.51] * 5], resolution=0.01)
    assert step.p[0] > 0
    assert not could_be_best([[0.5] * 5, [0.6] * 5], resolution=0.01).left[0]


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
