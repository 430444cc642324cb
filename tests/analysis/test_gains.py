"""The family of gains and interactions: which contrasts it has, and that it is one family."""

import itertools

import numpy as np
import pytest

from jcnn.analysis import gains
from jcnn.analysis.gains import Arm, family
from tests.analysis.distributions import EQUAL_ARMS
from tests.slow import short_first

DESIGN = [dict(zip("abc", levels, strict=True)) for levels in itertools.product("012", "01", "01")]


def arms_of(values, design=DESIGN):
    return [Arm(levels, row) for levels, row in zip(design, values, strict=True)]


def test_every_pair_of_levels_is_compared_overall_and_where_others_are_given():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 6))
    found = family(arms_of(values))
    mine = [gain for gain in found.gains if {gain.better, gain.worse} == {"0", "2"}]
    # Overall; given one level of b or of c; given both.
    assert sorted(len(gain.given) for gain in mine) == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    in_order = [tuple(gain.given.items()) for gain in mine]
    assert in_order[:4] == [(), (("b", "0"),), (("c", "0"),), (("b", "0"), ("c", "0"))]
    for gain in mine:
        chosen = [
            [values[i].mean() for i, levels in enumerate(DESIGN)
             if levels["a"] == level and gain.given.items() <= levels.items()]
            for level in (gain.better, gain.worse)
        ]  # fmt: skip
        assert gain.difference == pytest.approx(np.mean(chosen[0]) - np.mean(chosen[1]))
        assert 0 <= gain.difference <= gain.interval.high
        assert gain.interval.low < gain.difference


def test_levels_are_not_compared_per_setting_in_a_large_study(monkeypatch):
    values = np.random.default_rng(0).normal(size=(12, 6))
    every = family(arms_of(values))
    monkeypatch.setattr(gains, "_MOST_CONTRASTS", len(every.gains) - 1)
    found = family(arms_of(values))
    assert {len(gain.given) for gain in every.gains} == {0, 1, 2}
    assert [(gain.given, gain.difference) for gain in found.gains] == [
        (gain.given, gain.difference) for gain in every.gains if len(gain.given) < 2
    ]
    assert len(found.interactions) == len(every.interactions)


def test_interactions_start_with_the_larger_gain():
    values = np.random.default_rng(1).normal(0, 0.1, (4, 6))
    values[0] += 3.0
    values[3] += 1.0
    design = [dict(zip("ab", levels, strict=True)) for levels in itertools.product("01", "01")]
    (one,) = family(arms_of(values, design)).interactions
    first, second = one.gains
    assert (one.factor, one.better, one.worse, one.other, one.levels) == (
        "a",
        "0",
        "1",
        "b",
        ("0", "1"),
    )
    assert first.difference == pytest.approx(3, abs=0.3)
    assert second.difference == pytest.approx(-1, abs=0.3)
    assert one.difference == pytest.approx(first.difference - second.difference)
    assert one.interval.low < one.difference < one.interval.high
    assert one.real


def test_only_settings_that_all_levels_share_are_averaged():
    design = [levels for levels in DESIGN if levels != {"a": "2", "b": "1", "c": "1"}]
    values = np.random.default_rng(2).normal(size=(11, 5))
    gains = family(arms_of(values, design)).gains
    overall = next(
        g for g in gains if g.factor == "a" and not g.given and "0" in (g.better, g.worse)
    )
    shared = [i for i, levels in enumerate(design) if (levels["b"], levels["c"]) != ("1", "1")]
    means = {a: np.mean([values[i].mean() for i in shared if design[i]["a"] == a]) for a in "012"}
    assert overall.difference == pytest.approx(means[overall.better] - means[overall.worse])


def test_intervals_are_clipped_to_the_largest_difference():
    values = np.array([[0, 1, 0, 1, 0.0], [1, 0, 1, 0, 1]])
    (gain,) = family(arms_of(values, [{"a": "0"}, {"a": "1"}]), span=1.0).gains
    assert gain.interval.high == 1.0
    assert gain.interval.low >= -1.0


def test_studies_without_anything_to_compare_have_no_gains():
    assert family([]).gains == ()
    assert family([Arm({"a": "0"}, [0.5] * 5)]).gains == ()
    disjoint = [{"a": "0", "b": "0"}, {"a": "1", "b": "1"}]
    assert family(arms_of(np.zeros((2, 5)), disjoint)).gains == ()


@pytest.mark.parametrize(
    ("kind", "seeds"),
    short_first([(kind, 5) for kind in EQUAL_ARMS], 1)
    + short_first([(kind, 10) for kind in EQUAL_ARMS], 0),
)
def test_a_report_of_equal_arms_seldom_says_that_anything_beats(kind, seeds):
    rng, studies = np.random.default_rng(3), 200
    false = 0
    for _ in range(studies):
        found = family(arms_of(EQUAL_ARMS[kind](rng, (12, seeds))))
        false += any(each.real for each in (*found.gains, *found.interactions))
    # Half of 5%: the other half is for what is ruled out.
    assert false / studies <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / studies)
