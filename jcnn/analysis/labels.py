"""How combinations and lists of names are written in sentences and tables."""

from collections.abc import Mapping, Sequence


def label(levels: Mapping[str, str]) -> str:
    """A combination with its factors, for text without a table header: `activation=relu, depth=8`.

    Empty for a study without factors.

    >>> label({"activation": "relu", "depth": "8"})
    'activation=relu, depth=8'
    """
    return ", ".join(f"{factor}={level}" for factor, level in levels.items())


def short_label(levels: Mapping[str, str]) -> str:
    """A combination by its levels alone: `relu 8`."""
    return " ".join(levels.values()) or "the only combination"


def given(levels: Mapping[str, str], joined_by: str = " and ") -> str:
    """A condition: `activation=relu and depth=8`.

    >>> given({"activation": "relu", "depth": "8"})
    'activation=relu and depth=8'
    """
    return joined_by.join(f"{factor}={level}" for factor, level in levels.items())


def join_names(names: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; names beyond the first `most` are counted.

    >>> join_names(["a", "b", "c"]), join_names(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    shown = list(names[:most])
    rest = len(names) - len(shown)
    if rest:
        shown.append(f"{rest} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
