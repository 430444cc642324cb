"""Contrasts of means as one family: known tests, error rates, coverage, degenerate values."""

import itertools

import numpy as np
import pytest
from scipy import stats

from jcnn.analysis import compare_means
from tests.analysis.distributions import EQUAL_ARMS
from tests.slow import short_first

PAIRS = np.array([np.eye(6)[i] - np.eye(6)[j] for i, j in itertools.combinations(range(6), 2)])


def test_one_contrast_is_welchs_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 9), rng.normal(0, 2, 6)
    found = compare_means([a, b], np.array([[1.0, -1.0]]))
    expected = stats.ttest_ind(a, b, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found.difference[0] == pytest.approx(a.mean() - b.mean())
    assert found.p[0] == pytest.approx(expected.pvalue, abs=0.02)
    assert found.low[0] == pytest.approx(low, abs=0.05 * (high - low))
    assert found.high[0] == pytest.approx(high, abs=0.05 * (high - low))


def test_all_pairs_of_many_values_are_tukeys_test():
    """With 60 values per arm, pooling the spreads hardly matters."""
    rng = np.random.default_rng(1)
    arms = rng.normal(np.linspace(0, 0.7, 6)[:, None], 1, (6, 60))
    found = compare_means(arms, PAIRS)
    expected = stats.tukey_hsd(*arms)
    for p, (i, j) in zip(found.p, itertools.combinations(range(6), 2), strict=True):
        assert p == pytest.approx(expected.pvalue[i, j], abs=0.06)
    assert (found.p < 0.05).any()
    assert (found.p > 0.05).any()


@pytest.mark.parametrize(
    ("kind", "seeds"),
    short_first([(kind, 5) for kind in EQUAL_ARMS], 2)
    + short_first([(kind, 10) for kind in EQUAL_ARMS], 0),
)
def test_equal_means_seldom_differ(kind, seeds):
    rng, studies = np.random.default_rng(2), 400
    false = 0
    for _ in range(studies):
        found = compare_means(EQUAL_ARMS[kind](rng, (6, seeds)), PAIRS)
        false += (found.p <= 0.05).any()
    assert false / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("studies", short_first([200, 2000]))
def test_all_intervals_hold_together_whatever_the_means_and_spreads(studies):
    rng = np.random.default_rng(3)
    means, spreads = np.array([0, 1, 1, 3, 0, 9.0]), np.array([1, 1, 4, 0.1, 2, 1.0])
    seeds = [5, 8, 5, 12, 6, 5]
    held = 0
    for _ in range(studies):
        arms = [rng.normal(m, s, n) for m, s, n in zip(means, spreads, seeds, strict=True)]
        found = compare_means(arms, PAIRS)
        held += ((found.low <= PAIRS @ means) & (PAIRS @ means <= found.high)).all()
    assert held / studies == pytest.approx(0.95, abs=3.5 * np.sqrt(0.05 * 0.95 / studies))


def test_a_contrast_of_many_values_is_not_judged_by_one_of_few():
    """An average over five steady arms stays sharp beside one arm of two unlike halves."""
    rng = np.random.default_rng(4)
    arms = [*rng.normal(0, 1, (10, 6)), np.array([0, 90, 0, 90, 0.0])]
    arms[:5] = [arm + 1.5 for arm in arms[:5]]
    weights = np.zeros((2, 11))
    weights[0, :5], weights[0, 5:10] = 0.2, -0.2
    weights[1, 9:] = 1, -1
    found = compare_means(arms, weights)
    assert found.p[0] <= 0.01
    assert found.p[1] > 0.05


def test_ties_are_no_evidence():
    same = compare_means([[0.5] * 5, [0.5] * 5], np.array([[1.0, -1.0]]))
    assert same.p[0] == 1.0
    assert same.difference[0] == 0.0
    near = compare_means([[0.51] * 5, [0.5] * 5], np.array([[1.0, -1.0]]), resolution=0.1)
    assert near.p[0] > 0.5
    far = compare_means([[0.9] * 5, [0.5] * 5], np.array([[1.0, -1.0]]), resolution=0.01)
    assert far.p[0] < 0.01


def test_too_few_values_give_no_interval_and_no_evidence():
    weights = np.array([[1.0, -1, 0, 0], [1, 0, -1, 0], [1, 0, 0, -1]])
    arms = [np.linspace(0, 1, 5), np.linspace(5, 6, 2), np.linspace(5, 6, 4), np.linspace(5, 6, 5)]
    found = compare_means(arms, weights)
    assert np.isnan(found.low).tolist() == [True, False, False]
    assert np.isnan(found.p).tolist() == [True, True, False]
    assert found.difference.tolist() == pytest.approx([-5.0] * 3)
