"""Seeds that diverged count against their combination, and are named."""

import pytest

from tests.analysis.planted import planted

STEADY = [0.74, 0.75, 0.73, 0.74, 0.76]


def order(study):
    return [row.levels["kind"] for row in study.ranking()]


def test_three_diverged_seeds_of_five_outweigh_two_better_ones():
    study = planted({"flaky": [0.97, 0.98, None, None, None], "steady": STEADY})
    assert order(study) == ["steady", "flaky"]
    assert study.verdict().startswith("Use steady (learning rate 0.1). flaky may still be better")
    assert study.verdict().endswith("3 of 5 seeds of flaky diverged, which counts as 0.00%.")
    flaky = study.ranking()[1]
    assert flaky.mean == pytest.approx(0.39)  # what is shown is what is compared
    assert flaky.interval.low == 0.0
    assert "flaky beats" not in " ".join(study.effects())


def test_a_combination_that_always_diverges_is_ruled_out():
    study = planted({"never": [None] * 5, "steady": STEADY})
    assert study.verdict() == (
        "Use steady (learning rate 0.1). It is better than never (-), which is ruled out. 5 of 5 "
        "seeds of never diverged, which counts as 0.00%."
    )


def test_a_seed_that_diverged_in_the_first_combination_is_said():
    study = planted({"flaky": [0.99, 0.98, 0.99, 0.97, None], "steady": STEADY})
    assert order(study) == ["flaky", "steady"]  # 0.786 against 0.744
    assert study.verdict().startswith(
        "flaky came first, although 1 of 5 seeds diverged. steady may"
    )
    assert study.verdict().endswith("1 of 5 seeds of flaky diverged, which counts as 0.00%.")


def test_without_diverged_seeds_nothing_is_said_of_them():
    study = planted({"good": [v + 0.2 for v in STEADY], "steady": STEADY})
    assert study.verdict() == (
        "Use good (learning rate 0.1). It is better than steady (74.40%), which is ruled out."
    )


def test_by_a_loss_combinations_without_diverged_seeds_come_first():
    study = planted(
        {"flaky": [0.01, 0.02, None, None, 0.01], "steady": STEADY, "bad": [1.5] * 5},
        metric="loss",
    )
    assert order(study) == ["steady", "bad", "flaky"]
    assert study.verdict() == (
        "Use steady (learning rate 0.1). It is better than bad (1.5), which is ruled out. 2 of 5 "
        "seeds of flaky diverged, which has no value to compare by test loss."
    )
    assert 0 not in study.answer.ruled_out  # its surviving seeds are better
    (effect,) = study.effects()
    assert effect.startswith("kind: steady beats bad by")
    assert effect.endswith("seeds of flaky diverged.")


def test_if_all_others_diverged_nothing_is_compared():
    study = planted({"flaky": [0.01, None, 0.02], "steady": [0.7, 0.8, 0.7]}, metric="loss")
    assert study.verdict() == (
        "Use steady (learning rate 0.1). Every other combination has seeds that diverged. 1 of 3 "
        "seeds of flaky diverged, which has no value to compare by test loss."
    )


def test_among_combinations_with_diverged_seeds_fewer_is_better():
    study = planted({"two": [0.1, None, None], "one": [0.5, 0.5, None]}, metric="loss")
    assert order(study) == ["one", "two"]
    assert study.verdict().startswith("one came first, although 1 of 3 seeds diverged. 1 of 3 ")
