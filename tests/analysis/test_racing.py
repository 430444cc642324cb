"""Races: error rates over all looks, what a look may do, and the forecast."""

import numpy as np
import pytest

from jcnn.analysis import could_be_best, race
from jcnn.analysis.racing import LOOKS, level_at, looks_of, seeds_after
from tests.analysis.distributions import EQUAL_ARMS
from tests.slow import short_first


def raced(values, resolution=None):
    """A race in which every arm that is left gets the values of the next look."""
    arms = [row[: LOOKS[0]] for row in values]
    for size in LOOKS:
        found = race(arms, resolution=resolution)
        arms = [
            row[:size] if left else arm
            for row, arm, left in zip(values, arms, found.left, strict=True)
        ]
    return race(arms, resolution=resolution), arms


def test_the_levels_of_all_looks_add_up_to_that_of_one():
    shares = [1 - level_at(look) for look in range(1, 10_000)]
    assert sum(shares) == pytest.approx(0.05, abs=1e-5)
    assert shares == sorted(shares, reverse=True)


def test_the_first_look_is_a_comparison_with_the_best():
    values = np.random.default_rng(0).normal([[0.0], [1.0], [3.0]], 1, (3, 5))
    found, expected = race(values), could_be_best(values, level=level_at(1))
    np.testing.assert_array_equal(found.p, expected.p)
    np.testing.assert_array_equal(found.exceeds, expected.exceeds)
    assert (found.leader, found.bound) == (expected.leader, expected.bound)


@pytest.mark.parametrize(
    ("kind", "arms"),
    short_first([(kind, arms) for arms in (6, 12) for kind in EQUAL_ARMS], 2),
)
def test_the_best_of_equal_arms_is_seldom_ruled_out_at_any_look(kind, arms):
    rng, studies = np.random.default_rng(3), 200
    out = alone = 0
    for _ in range(studies):
        found, _ = raced(EQUAL_ARMS[kind](rng, (arms, LOOKS[-1])))
        out += not found.left[0]
        alone += found.left.sum() == 1
    allowed = 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)
    assert out / studies <= allowed
    assert alone / studies <= allowed


@pytest.mark.parametrize("studies", short_first([100, 1000]))
def test_the_best_is_kept_and_the_bound_holds(studies):
    rng = np.random.default_rng(4)
    held = kept = 0
    for _ in range(studies):
        means = -rng.exponential(1, 8)
        found, _ = raced(rng.normal(means[:, None], 1, (8, LOOKS[-1])))
        held += means.max() - means[found.leader] <= found.bound
        kept += found.left[means.argmax()]
    allowed = 0.95 - 3 * np.sqrt(0.05 * 0.95 / studies)
    assert held / studies >= allowed
    assert kept / studies >= allowed


def test_who_is_ruled_out_stays_out_and_costs_no_more():
    rng = np.random.default_rng(5)
    values = rng.normal([[0.0], [0.1], [9.0], [9.1]], 1, (4, LOOKS[-1]))
    found, arms = raced(values)
    assert found.left.tolist() == [False, False, True, True]
    assert [len(arm) for arm in arms] == [5, 5, 40, 40]
    # Its mean may be larger than that of all others later; it is out, and does not lead.
    arms[0] = np.full(5, 0.0)
    later = race([arms[0], arms[1], arms[2] - 100, arms[3] - 100])
    assert later.leader == 0
    first = could_be_best([arms[0], arms[2] + 100], candidates=[1])
    assert first.leader == 1
    assert first.left.tolist() == [False, True]
    leads = could_be_best([arms[0] + 500, arms[2], arms[3]], candidates=[1, 2])
    assert leads.leader in (1, 2)
    assert leads.exceeds[0] == 0


def test_arms_that_are_out_still_count_in_the_null_distribution():
    """Otherwise those that are left, which were selected for being large, are ruled out easily."""
    values = np.random.default_rng(6).normal(size=(6, 8))
    among_all = could_be_best(values, candidates=[0, 1])
    alone = could_be_best(values[:2])
    assert among_all.bound > alone.bound


def test_few_values_rule_nothing_out():
    found = race([[0.0, 0.0, 0.0, 0.1], [1.0, 1.0, 1.0, 1.1]])
    assert found.left.all()
    assert race([[0.5, 0.6]]).left.tolist() == [True]


def test_a_look_begins_with_the_first_value_beyond_the_one_before():
    assert looks_of([3, 2]) == [5]
    assert looks_of([5, 5]) == [5]
    assert looks_of([5, 6]) == [5, 8]
    assert looks_of([5, 40]) == list(LOOKS)
    assert looks_of([5, 60]) == list(LOOKS)


def test_the_forecast_is_the_first_look_that_reaches_the_bound():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(3, LOOKS[-1]))
    found = race(values[:, :5])
    at = [seeds_after(values[:, :5], found, bound) for bound in (9.0, 1.0, 1e-9)]
    assert at[0] == 8
    assert at[1] in LOOKS[2:]
    assert at[2] is None
    assert seeds_after([values[0]], race([values[0]]), 1.0) is None
