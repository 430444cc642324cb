"""Seeds that diverged count against their combination, and are named."""

import math

import pytest

from jcnn.analysis.records import RunRecord
from jcnn.analysis.result import Result
from jcnn.engine import Outcome

STEADY = [0.74, 0.75, 0.73, 0.74, 0.76]


def result(form=None, **values):
    """A study of one factor at one rate; None is a seed that diverged."""
    records = [
        RunRecord(
            i,
            0.1,
            seed,
            Outcome(
                {
                    f"{part}_{name}": [math.nan if value is None else value]
                    for part in ("train", "validation")
                    for name in ("accuracy", "loss")
                },
                {name: math.nan if value is None else value for name in ("accuracy", "loss")},
                diverged_at=3 if value is None else None,
            ),
        )
        for i, each in enumerate(values.values())
        for seed, value in enumerate(each)
    ]
    levels = [{"kind": name} for name in values]
    return Result({}, "accuracy", True, levels, records, form=form)


def order(study):
    return [row.levels["kind"] for row in study.ranking()]


def test_three_diverged_seeds_of_five_outweigh_two_better_ones():
    study = result(flaky=[0.97, 0.98, None, None, None], steady=STEADY)
    assert order(study) == ["steady", "flaky"]
    assert study.verdict().endswith("; 3 of 5 seeds of flaky diverged, which counts as 0.00%")
    assert "flaky is best" not in study.verdict()
    # Five seeds of which two are better and three are 0: no difference that a test could show.
    assert "not enough seeds to tell steady from flaky" in study.verdict()
    assert study.comparisons()[0].difference == pytest.approx(0.744 - 0.39)
    assert "flaky beats" not in " ".join(study.effects())


def test_a_seed_that_diverged_in_the_first_combination_is_said():
    study = result(flaky=[0.99, 0.98, 0.99, 0.97, None], steady=STEADY)
    assert order(study) == ["flaky", "steady"]  # 0.786 against 0.744
    assert study.verdict() == (
        "flaky came first, although not all of its seeds trained; 1 of 5 seeds of flaky diverged, "
        "which counts as 0.00%"
    )


def test_without_diverged_seeds_the_verdict_is_as_before():
    study = result(good=[v + 0.2 for v in STEADY], steady=STEADY)
    assert study.verdict().startswith("good is best: ahead of every other combination, of the next")
    assert "diverged" not in study.verdict()


def test_by_a_loss_combinations_without_diverged_seeds_come_first():
    study = result("loss", flaky=[0.01, 0.02, None, None, 0.01], steady=STEADY, bad=[1.5] * 5)
    assert order(study) == ["steady", "bad", "flaky"]
    assert "ahead of every other combination, of the next (bad)" in study.verdict()
    assert study.verdict().endswith(
        "; 2 of 5 seeds of flaky diverged, which counts as the worst value"
    )
    assert 0 not in study.answer.worse_than_best  # its surviving seeds are better
    (effect,) = study.effects()
    assert effect.startswith("kind: steady beats bad by")
    assert effect.endswith("seeds of flaky diverged")


def test_if_all_others_diverged_nothing_is_compared():
    study = result("loss", flaky=[0.01, None, 0.02], steady=[0.7, 0.8, 0.7])
    assert study.verdict() == (
        "steady is best: every other combination has seeds that diverged; 1 of 3 seeds of flaky "
        "diverged, which counts as the worst value"
    )


def test_among_combinations_with_diverged_seeds_fewer_is_better():
    study = result("loss", two=[0.1, None, None], one=[0.5, 0.5, None])
    assert order(study) == ["one", "two"]
    assert study.verdict().startswith("one came first, although not all of its seeds trained; ")
