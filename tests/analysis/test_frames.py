"""A result as a data frame."""

import sys

import numpy as np
import pandas
import pytest

from jcnn.errors import UsageError
from jcnn.study.storage.load import read_result


def test_a_row_per_run(finished_study):
    result = read_result(finished_study)
    frame = result.to_pandas()
    assert len(frame) == len(result.records) == 12
    assert list(frame.columns[:4]) == ["activation", "hidden", "learning_rate", "seed"]
    assert frame["hidden"].tolist() == [16] * 12  # a number, since every level is one
    assert set(frame["activation"]) == {"tanh", "relu"}
    ended = [record.outcome.diverged_at for record in result.records]
    assert frame["diverged_at"].isna().tolist() == [step is None for step in ended]
    means = frame[frame["learning_rate"] == 0.1].groupby("activation")["test_accuracy"].mean()
    for row in result.ranking():
        assert means[row.levels["activation"]] == pytest.approx(row.mean)


def test_a_row_per_epoch(finished_study):
    result = read_result(finished_study)
    frame = result.to_pandas(per="epoch")
    assert len(frame) == 2 * 12
    assert set(frame["epoch"]) == {1, 2}
    first = frame[(frame["epoch"] == 2)]["validation_accuracy"].to_numpy()
    last = [record.outcome.curves["validation_accuracy"][-1] for record in result.records]
    np.testing.assert_array_equal(first, last)
    pandas.testing.assert_frame_equal(pandas.DataFrame(result.rows("epoch")), frame)


def test_what_is_missing_is_said(finished_study, monkeypatch):
    result = read_result(finished_study)
    with pytest.raises(UsageError, match="per='day'; expected 'run' or 'epoch'"):
        result.rows("day")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="to_pandas needs pandas: pip install pandas"):
        result.to_pandas()
