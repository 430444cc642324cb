"""Main effects of an additive model: against statsmodels, error rates, thirds, too few points."""

import itertools

import numpy as np
import pytest

from jcnn.analysis.gains import FAMILY_LEVEL, Arm
from jcnn.analysis.main_effects import main_effects
from jcnn.analysis.metric import at_end
from tests.slow import short_first

ACCURACY = at_end("accuracy", True)
GRID = [dict(zip("abc", map(str, at), strict=True)) for at in
        itertools.product(range(3), range(2), range(4))]  # fmt: skip


def points(rng, effect=0.0, noise=0.01, count=16):
    chosen = [GRID[i] for i in rng.choice(len(GRID), count, replace=False)]
    return [
        Arm(levels, [0.5 + effect * int(levels["a"]) + noise * rng.normal()]) for levels in chosen
    ]


def test_differences_and_errors_are_those_of_least_squares():
    pandas = pytest.importorskip("pandas")
    formula = pytest.importorskip("statsmodels.formula.api")
    arms = points(np.random.default_rng(0), effect=0.05)
    frame = pandas.DataFrame([{**arm.levels, "y": arm.values[0]} for arm in arms])
    fitted = formula.ols("y ~ C(a) + C(b) + C(c)", frame).fit()
    (a, *_) = main_effects(arms, "abc", ACCURACY)
    assert [level.name for level in a.levels] == ["2", "1", "0"]
    zero = a.levels[2].gain
    assert zero.difference == pytest.approx(fitted.params["C(a)[T.2]"])
    half = (zero.interval.high - zero.interval.low) / 2
    error = fitted.bse["C(a)[T.2]"]
    assert 2.5 * error < half < 6 * error  # simultaneous, over ten contrasts
    table = frame.assign(a="2")
    assert a.levels[0].mean == pytest.approx(fitted.predict(table).mean())


@pytest.mark.parametrize("studies", short_first([200, 2000]))
def test_equal_points_seldom_beat_each_other(studies):
    rng, false = np.random.default_rng(1), 0
    for _ in range(studies):
        found = main_effects(points(rng), "abc", ACCURACY)
        false += any(level.gain and level.gain.real for each in found for level in each.levels)
    allowed = 1 - FAMILY_LEVEL
    assert false / studies <= allowed + 3 * np.sqrt(allowed * (1 - allowed) / studies)


def test_a_real_effect_is_found_and_intervals_stay_in_the_range():
    (a, b, _) = main_effects(points(np.random.default_rng(2), effect=0.2), "abc", ACCURACY)
    assert a.levels[2].gain.real
    assert a.modelled
    assert not b.levels[1].gain.real
    noisy = points(np.random.default_rng(2), noise=2.0)
    for each in main_effects(noisy, "abc", ACCURACY):
        for level in each.levels:
            assert 0 <= level.interval.low <= level.interval.high <= 1
            assert (
                level.gain is None or -1 <= level.gain.interval.low <= level.gain.interval.high <= 1
            )


def test_lower_is_better_for_a_loss():
    rng = np.random.default_rng(3)
    loss = at_end("loss", False)
    arms = [Arm(arm.levels, [-value for value in arm.values]) for arm in points(rng, effect=0.3)]
    (a, *_) = main_effects(arms, "abc", loss)
    assert [level.name for level in a.levels] == ["0", "1", "2"]
    assert a.levels[0].mean < a.levels[2].mean


def test_many_numbers_are_compared_by_thirds():
    rng = np.random.default_rng(4)
    rates = np.geomspace(1e-3, 1, 18)
    arms = [
        Arm(
            {"rate": f"{rate:.3g}", "b": str(i % 2)},
            [0.9 - 0.2 * (rate > 0.1) + 0.01 * rng.normal()],
        )
        for i, rate in enumerate(rates)
    ]
    (rate, b) = main_effects(arms, ["rate", "b"], ACCURACY)
    assert {level.name for level in rate.levels} == {
        "0.001 to 0.00763",
        "0.0115 to 0.0873",
        "0.131 to 1",
    }
    assert rate.levels[-1].name == "0.131 to 1"
    assert rate.levels[-1].gain.real
    assert len(b.levels) == 2


def test_thirds_keep_equal_numbers_together():
    widths = [str(2**k) for k in range(3, 11) for _ in range(3)]
    arms = [Arm({"width": width, "b": str(i % 2)}, [0.1 * i]) for i, width in enumerate(widths)]
    (width, _) = main_effects(arms, ["width", "b"], ACCURACY)
    assert {level.name for level in width.levels} == {"8 to 16", "32 to 128", "256 to 1024"}


def test_too_few_points_or_confounded_factors_have_no_levels():
    few = points(np.random.default_rng(5), count=8)
    assert all(each.levels == () for each in main_effects(few, "abc", ACCURACY))
    same = [Arm({"a": str(i % 2), "b": str(i % 2)}, [0.1 * i]) for i in range(12)]
    assert all(each.levels == () for each in main_effects(same, "ab", ACCURACY))
