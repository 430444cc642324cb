"""The statistics: known values, coverage, error rates of null studies, power, degenerate input."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from jcnn.analysis import statistics
from tests.slow import short_first


def test_paired_comparison_against_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=8) + 0.3, rng.normal(size=8)
    (found,) = statistics.compare([(a, b)])
    expected = stats.ttest_rel(a, b)
    assert found.difference == pytest.approx(np.mean(a - b))
    assert found.p == found.corrected == pytest.approx(expected.pvalue)
    assert tuple(found.interval) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.effect == pytest.approx(np.mean(a - b) / np.std(a - b, ddof=1))
    assert found.improves == np.mean(a > b)


def test_holms_correction_counts_the_family():
    base = np.array([0.0, 0.1, -0.1, 0.05, -0.05])
    arms = [(base + shift + 0.01 * np.arange(5), base) for shift in (0.05, 0.02, 0.0)]
    three = statistics.compare(arms)
    ps = sorted(one.p for one in three)
    assert min(one.corrected for one in three) == pytest.approx(3 * ps[0])
    ten = statistics.compare(arms, family=10)
    assert min(one.corrected for one in ten) == pytest.approx(10 * ps[0])


def test_the_correction_is_that_of_statsmodels():
    rng = np.random.default_rng(4)
    arms = [(rng.normal(shift, 1, 6), np.zeros(6)) for shift in (0, 0, 0.5, 1, 2, 3, 4)]
    found = statistics.compare(arms)
    expected = multipletests([one.p for one in found], method="holm")[1]
    assert [one.corrected for one in found] == pytest.approx(expected)
    assert 0 < sum(one.real for one in found) < len(found)


def test_what_cannot_be_said_is_not_a_number():
    nan = math.nan
    (one,) = statistics.compare([([1.0, nan], [0.5, 0.5])])
    assert (one.n, one.difference) == (1, 0.5)
    assert math.isnan(one.p)
    assert not one.real
    (same,) = statistics.compare([([1.0, 2.0], [1.0, 2.0])])
    assert (same.p, same.improves, same.seeds_needed) == (1.0, 0.5, None)
    assert all(math.isnan(end) for end in statistics.mean_interval([1.0, nan]))
    assert tuple(statistics.mean_interval([2.0, 2.0, 2.0])) == (2.0, 2.0)
    assert math.isnan(statistics.interquartile_mean([nan]))


def test_the_interquartile_mean_forgets_the_ends():
    assert statistics.interquartile_mean([0.0, 10.0, 11.0, 99.0]) == 10.5


@pytest.mark.parametrize("studies", short_first([100, 1000]))
def test_null_studies_rarely_have_a_winner(studies):
    """Six equal arms, five seeds: the best differs from any other in at most 5% of studies."""
    rng = np.random.default_rng(1)
    false = 0
    for _ in range(studies):
        seed_effect = rng.normal(size=5)
        arms = seed_effect + rng.normal(size=(6, 5))
        order = np.argsort(-arms.mean(axis=1))
        pairs = [(arms[order[0]], arms[other]) for other in order[1:]]
        false += any(one.real for one in statistics.compare(pairs, family=15))
    assert false / studies <= 0.05


def test_the_seeds_needed_give_the_power_stated():
    rng = np.random.default_rng(2)
    effect, family = 0.9, 6
    n = statistics.seeds_needed_for(effect, 0.05 / family)
    first = [
        statistics.compare([(rng.normal(effect, 1, n), np.zeros(n))], family=family)[0].real
        for _ in range(1000)
    ]
    assert 0.76 <= np.mean(first) <= 0.84


@pytest.fixture(scope="module")
def recorded():
    """The experiment that draws studies from recorded runs, and those runs."""
    path = Path(__file__).resolve().parents[2] / "experiments" / "null_studies.py"
    spec = importlib.util.spec_from_file_location("null_studies", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, list(json.loads(module.RECORDED.read_text())["runs"].values())


@pytest.mark.parametrize(("studies", "arms"), short_first([(100, 2), (400, 2), (400, 6)]))
def test_null_studies_of_recorded_runs_rarely_have_a_winner(recorded, studies, arms):
    module, runs = recorded
    assert module.false_winners(runs, studies, arms, 5) / studies <= 0.05


@pytest.mark.parametrize(("studies", "effect"), short_first([(100, 1.5), (400, 1.0), (400, 1.5)]))
def test_a_planted_difference_is_found_with_the_power_stated(recorded, studies, effect):
    module, runs = recorded
    _, _, found = module.planted_found(runs, studies, effect)
    assert stats.binomtest(found, studies, statistics.POWER, alternative="less").pvalue > 0.05


@pytest.mark.parametrize("level", [0.05, 0.05 / 66])
def test_seeds_needed_of_any_effect(level):
    """Large effects, for which statsmodels' search finds nothing, need few; never NaN."""
    needed = [
        statistics.seeds_needed_for(e, level)
        for e in (0.5, 1.0, 2.0, 5.0, 7.0, 15.0, 50.0, 1e3, 1e8)
    ]
    assert all(isinstance(n, int) for n in needed)
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] == 2
    assert statistics.seeds_needed_for(math.inf, level) is None
    power = TTestPower().power
    for effect, n in ((0.5, needed[0]), (1.0, needed[1]), (2.0, needed[2])):
        assert power(effect, n - 1, level) < statistics.POWER <= power(effect, n, level)


def test_intervals_hold_the_mean_about_as_often_as_they_say():
    """A bootstrap of ten values falls a little short, as it is known to."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(300):
        low, high = statistics.mean_interval(rng.normal(size=10))
        held.append(low <= 0 <= high)
    assert 0.86 <= np.mean(held) <= 0.98
