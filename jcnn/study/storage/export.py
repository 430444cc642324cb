"""Export all runs of a study as a table: CSV, JSON or Parquet."""

import csv
import io
from pathlib import Path
from typing import Any, cast

from jcnn import strict_json
from jcnn.analysis.frames import run_row
from jcnn.analysis.result import Result
from jcnn.errors import UsageError
from jcnn.study.storage.atomic_files import write_atomic, write_atomic_bytes

FORMATS = (".csv", ".json", ".parquet")


def export(result: Result, path: Path) -> int:
    """Write a row per run, and return the number of runs. The file's suffix selects the format.

    Columns are the factors, learning_rate, seed, diverged_at (empty if the run did not diverge),
    best_epoch (empty without early stopping), steps, seconds, `test_<metric>`, and
    `<part>_<metric>` for training and validation: the final value in CSV, one value per epoch in
    JSON and Parquet. Values that are not finite are empty or null.

    Raises UsageError for any other suffix, and for Parquet without pyarrow.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UsageError(f"{path}: expected a file name that ends in {', '.join(FORMATS)}")
    rows = [_row(result, index, last=kind == ".csv") for index in range(len(result.records))]
    if kind == ".json":
        write_atomic(path, strict_json.dumps(rows))
    elif kind == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomic(path, text.getvalue())
    else:
        write_atomic_bytes(path, _parquet(rows))
    return len(rows)


def _row(result: Result, index: int, *, last: bool) -> dict[str, Any]:
    record = result.records[index]
    row = run_row(result.combinations[record.combination], record) | {
        name: record.outcome.final(name) if last else curve
        for name, curve in record.outcome.curves.items()
    }
    return cast("dict[str, Any]", strict_json.plain(row))


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "Parquet needs pyarrow: pip install 'jcnn[parquet]', or write .csv or .json"
        ) from error
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()
