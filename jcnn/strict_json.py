"""Strict JSON, which has no NaN: numbers that are not finite become null."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def dumps(content: Any) -> str:
    """Return `content` as indented JSON; dataclasses and named tuples become objects.

    >>> print(dumps({"loss": float("nan"), "layers": (1, 2.5)}))
    {
     "loss": null,
     "layers": [
      1,
      2.5
     ]
    }
    """
    return json.dumps(plain(content), indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """Return `value` as dictionaries, lists, and numbers that are finite or None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
