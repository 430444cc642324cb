"""The names that `dir()` of a package lists."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any


def public_names(namespace: Mapping[str, Any], *modules: str) -> list[str]:
    """The names in a package's `globals()` that it hands on, without the modules that define them.

    `modules` are submodules that are public themselves.

    >>> import math
    >>> public_names({"sqrt": math.sqrt, "math": math, "_hidden": 1}), public_names({}, "math")
    (['sqrt'], ['math'])
    """
    handed_on = (
        name
        for name, value in namespace.items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    )
    return sorted({*handed_on, *modules} - {"public_names"})
