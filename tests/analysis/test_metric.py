"""Metrics of the same runs: loss, area, steps to a target, divergence; the noise floor."""

import numpy as np
import pytest

from jcnn.errors import UsageError
from jcnn.study.storage.load import read_result


def test_other_measures_of_the_same_runs(finished_study):
    result = read_result(finished_study)
    rows = {form: result.by(form).ranking() for form in ("loss", "area", "steps:0.5", "diverged")}
    for form, better in (("loss", 1), ("area", -1), ("steps:0.5", 1), ("diverged", 1)):
        means = [better * row.mean for row in rows[form]]
        assert means == sorted(means), form
    (row, *_) = rows["steps:0.5"]
    curves = [
        r.outcome.curves["validation_accuracy"]
        for r in result.records
        if (r.combination, r.learning_rate) == (row.combination, row.learning_rate)
    ]
    first = [next((i for i, v in enumerate(c, 1) if v >= 0.5), len(c)) for c in curves]
    assert row.values == [8 * epochs for epochs in first]  # 1,150 examples in batches of 128
    (area, *_) = rows["area"]
    assert 0 < area.mean < result.ranking()[0].mean
    by = {row.combination: row for row in rows["diverged"]}
    for index in range(2):
        share = np.mean([r.outcome.diverged_at is not None for r in result.records
                         if r.combination == index])  # fmt: skip
        assert by[index].mean == pytest.approx(share)
    with pytest.raises(UsageError, match="did you mean steps:TARGET"):
        result.by("step:0.9")
    with pytest.raises(UsageError, match="expected a number after the colon"):
        result.by("steps:many")


def test_rates_that_work_and_the_noise_floor(finished_study):
    result = read_result(finished_study)
    row = result.ranking()[0]
    assert row.by_rate.keys() == {0.1, 30.0}
    assert row.working == [0.1]
    n, p = result.test_examples, row.mean
    assert result.noise_floor(row) == pytest.approx(np.sqrt(p * (1 - p) / n))
    drawn = np.random.default_rng(0).binomial(n, p, 20_000) / n
    assert result.noise_floor(row) == pytest.approx(np.std(drawn), rel=0.03)
    assert np.isnan(result.by("loss").noise_floor(row))
