"""The Pareto front: what it calls dominated and certain, and how often it errs."""

import numpy as np
import pytest

from jcnn.analysis import pareto_front
from tests.slow import short_first

RNG = np.random.default_rng


def values(means, seeds=6, spread=0.01, seed=0):
    return RNG(seed).normal(np.array(means)[:, None], spread, (len(means), seeds))


def test_a_clear_front_is_found():
    front = pareto_front(values([0.9, 0.8, 0.7, 0.6]), [4, 2, 3, 1])
    assert front.dominated.tolist() == [False, False, True, False]
    assert front.certain.tolist() == [True, True, False, True]
    assert front.by.tolist() == [-1, -1, 1, -1]


def test_the_best_of_those_that_are_cheaper_is_named():
    front = pareto_front(values([0.5, 0.8, 0.9]), [3, 1, 2])
    assert front.by.tolist() == [2, -1, -1]


def test_equal_costs_compare_both_ways():
    front = pareto_front(values([0.9, 0.5]), [1, 1])
    assert front.dominated.tolist() == [False, True]
    assert front.certain.tolist() == [True, False]
    alike = pareto_front(values([0.9, 0.9]), [1, 1])
    assert not alike.dominated.any()
    assert not alike.certain.any()


def test_what_is_close_may_be_on_the_front():
    front = pareto_front(values([0.901, 0.9], spread=0.02), [2, 1])
    assert not front.dominated.any()
    assert front.certain.tolist() == [False, True]


def test_few_seeds_say_nothing_but_of_the_cheapest():
    front = pareto_front(values([0.2, 0.9], seeds=4), [2, 1])
    assert not front.dominated.any()
    assert front.certain.tolist() == [False, True]


def test_one_arm_is_on_its_front():
    assert pareto_front([[0.5]], [1]).certain.tolist() == [True]


@pytest.mark.parametrize("studies", short_first([150, 1500]))
def test_true_fronts_are_seldom_broken(studies):
    """Of four costs, the first arm of each is the best; the second is nearly as good."""
    rng, wrong = RNG(1), 0
    means, costs = np.repeat([1.0, 2.0, 3.0, 4.0], 2), np.repeat([1, 2, 3, 4], 2)
    means[1::2] -= 1e-9
    for _ in range(studies):
        front = pareto_front(rng.normal(means[:, None], 1, (8, 5)), costs)
        wrong += front.dominated[::2].any() or front.certain[1::2].any()
    assert wrong / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("costs", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_costs_that_are_no_numbers_are_refused(costs):
    with pytest.raises(ValueError, match="expected a finite number for each arm"):
        pareto_front(values([0.5, 0.6]), costs)
