"""Errors that any part of jcnn raises for a wrong request, with a hint at the nearest name."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Raised when a request cannot be met; the message says what to change."""


class UnknownNameError(UsageError):
    """Raised for an unknown name; the message suggests the nearest known names."""


def nearest(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for an unknown `name` of this `kind`, with a hint.

    >>> raise nearest("color", "blu", ["blue", "red"])
    Traceback (most recent call last):
    jcnn.errors.UnknownNameError: unknown color 'blu'; did you mean blue?
    """
    return UnknownNameError(f"unknown {kind} {name!r}; {hint(name, known)}")


def hint(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" with the nearest known names, or all names if none is near.

    >>> hint("rleu", ["relu", "tanh"]), hint("x", ["relu", "tanh"])
    ('did you mean relu?', 'known: relu, tanh')
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
