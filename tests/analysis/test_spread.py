"""Intervals of a mean: those of Student's t, clipped, and held as often as they say."""

import math

import numpy as np
import pytest
from scipy import stats

from jcnn.analysis.spread import interquartile_mean, mean_interval, variances_of_means
from tests.slow import short_first


def test_the_interval_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=7)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert tuple(mean_interval(values)) == pytest.approx(tuple(expected))


def test_the_interval_stays_within_what_values_can_be():
    assert mean_interval([0.98, 1.0, 0.9], low=0.0, high=1.0).high == 1.0
    assert mean_interval([0.01, 0.0, 0.1], low=0.0, high=1.0).low == 0.0
    assert tuple(mean_interval([2.0, 2.0, 2.0])) == (2.0, 2.0)


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, math.nan], [1.0, 2.0, math.inf]]
)
def test_too_few_values_have_no_interval(values):
    assert all(math.isnan(end) for end in mean_interval(values))


@pytest.mark.parametrize(("n", "studies"), short_first([(5, 2000), (3, 5000), (10, 5000)]))
def test_intervals_hold_the_mean_as_often_as_they_say(n, studies):
    rng = np.random.default_rng(3)
    intervals = np.array([mean_interval(rng.normal(size=n)) for _ in range(studies)])
    held = ((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)).mean()
    assert held == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / studies))


def test_the_interquartile_mean_forgets_the_ends():
    assert interquartile_mean([0.0, 10.0, 11.0, 99.0]) == 10.5
    assert math.isnan(interquartile_mean([math.nan]))


def test_tied_values_have_the_variance_of_rounding():
    tied = [np.full(4, 0.5), np.array([0.5, 0.75, 0.5, 0.75])]
    assert variances_of_means(tied, None)[0] == pytest.approx(0.25**2 / 12 / 4)
    assert variances_of_means(tied, 0.1)[0] == pytest.approx(0.1**2 / 12 / 4)
    assert variances_of_means(tied, 0.1)[1] == pytest.approx(np.var(tied[1], ddof=1) / 4)
