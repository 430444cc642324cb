"""Files of points: CSV with a column per factor, or a JSON list of objects."""

import csv
import json
from pathlib import Path
from typing import Any

from jcnn import names
from jcnn.cli.values import parse_value
from jcnn.errors import UsageError


def read_points(path: str) -> list[dict[str, Any]]:
    """Return the points in a .csv or .json file.

    Raises UsageError if it cannot be read, or has no points.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        points = json.loads(text) if path.endswith(".json") else _from_csv(text)
    except OSError as error:
        raise UsageError(f"cannot read the points in {path}: {error.strerror}") from None
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{path} has no table of points: {error}") from None
    if not isinstance(points, list) or not points:
        raise UsageError(f"{path} has no points; expected a list of objects, or rows below a head")
    return points


def _from_csv(text: str) -> list[dict[str, Any]]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    points = []
    for row in rows:
        if None in row or None in row.values():
            raise ValueError(f"line {rows.line_num} has another number of columns than the head")
        points.append(
            {
                name: word if name in names.TABLES else parse_value(word)
                for name, word in row.items()
            }
        )
    return points
