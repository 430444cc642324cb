"""Values as words of the command line and of files."""

from typing import Any

_CONSTANTS = {"true": True, "false": False, "none": None}


def parse_value(word: str) -> Any:
    """Return the value of a word: true, false, none, a number, a tuple (`64,` or `8,16`), a name.

    >>> parse_value("none"), parse_value("8,16"), parse_value("0.5"), parse_value("relu")
    (None, (8, 16), 0.5, 'relu')
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if "," in word:
        return tuple(parse_value(part) for part in word.split(",") if part)
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word
