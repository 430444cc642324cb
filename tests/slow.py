"""Long proofs and their short forms: pytest alone runs the short ones (see CONTRIBUTING)."""

from collections.abc import Iterable
from typing import Any

import pytest


def short_first(values: Iterable[Any], short: int = 1) -> list[Any]:
    """The values of a parametrized test, of which all but the first `short` are marked slow."""
    whole = [value if isinstance(value, tuple) else (value,) for value in values]
    return [
        pytest.param(*value, marks=() if i < short else pytest.mark.slow)
        for i, value in enumerate(whole)
    ]
