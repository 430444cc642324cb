"""`jcnn compare --set KEY=VALUE`: any key of a study file."""

import json
import tomllib
from dataclasses import fields
from typing import Any

from jcnn.errors import UsageError


def set_key(keywords: dict[str, Any], word: str) -> None:
    """Set a key from `epochs=20` or `factors.width=[8, 16]`: TOML, or a bare word as a string."""
    from jcnn.study.plan import Plan

    key, equals, text = word.partition("=")
    if not equals or not text:
        raise UsageError(f"--set {word}: expected KEY=VALUE, such as epochs=20")
    if text == "none" and key in {field.name for field in fields(Plan)}:
        keywords.pop(key, None)
        return
    try:
        values = tomllib.loads(word)
    except tomllib.TOMLDecodeError:
        try:
            values = tomllib.loads(f"{key} = {json.dumps(text)}")
        except tomllib.TOMLDecodeError:
            raise UsageError(f"--set {word}: {key} is not a key of TOML; quote its parts") from None
    factors = values.pop("factors", None)
    if isinstance(factors, dict):
        keywords["factors"] = keywords.get("factors", {}) | factors
    elif factors is not None:
        keywords["factors"] = factors
    keywords |= values
