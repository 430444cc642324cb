"""Runs exported as CSV, JSON and Parquet."""

import csv
import json

import pytest

from jcnn.errors import UsageError
from jcnn.study.storage.export import export
from jcnn.study.storage.load import read_result


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_every_run_is_exported(finished_study, tmp_path, ending):
    result = read_result(finished_study)
    path = tmp_path / f"runs.{ending}"
    assert export(result, path) == 12
    if ending == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
    elif ending == "json":
        rows = json.loads(path.read_text())
    else:
        from pyarrow import parquet

        rows = parquet.read_table(path).to_pylist()
    assert len(rows) == 12
    first, record = rows[0], result.records[0]
    assert first["activation"] == "tanh"
    assert float(first["test_accuracy"]) == record.outcome.test["accuracy"]
    curve = record.outcome.curves["validation_loss"]
    if ending == "csv":
        assert float(first["validation_loss"]) == curve[-1]
    else:
        assert first["validation_loss"] == curve


def test_exports_say_what_they_can_be(finished_study, tmp_path, monkeypatch):
    result = read_result(finished_study)
    with pytest.raises(UsageError, match=r"ends in \.csv"):
        export(result, tmp_path / "runs.xlsx")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'jcnn\[parquet\]'"):
        export(result, tmp_path / "runs.parquet")
