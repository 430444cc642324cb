"""Limits of numbers whose work grows without bound."""

from jcnn.errors import UsageError


def check_at_most(option: str, value: int | float, most: int | float) -> None:
    """Raise UsageError if the value of a command-line option is greater than `most`.

    >>> check_at_most("--rounds", 10**19, 1000)
    Traceback (most recent call last):
    jcnn.errors.UsageError: --rounds 10000000000000000000; expected at most 1,000
    """
    if value > most:
        raise UsageError(f"{option} {value}; expected at most {most:,}")


def check_at_least(option: str, value: int | float, least: int | float) -> None:
    """Raise UsageError if the value of a command-line option is less than `least`."""
    if value < least:
        raise UsageError(f"{option} {value}; expected at least {least:,}")
