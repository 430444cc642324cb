"""Why a combination's model cannot be trained, in one line."""

import traceback
from pathlib import Path


class ModelError(ValueError):
    """Raised when a combination's model cannot be trained; the message is the reason."""


def reason(error: BaseException) -> str:
    """Return an error's message in one line of at most 400 characters."""
    return " ".join(str(error).split())[:400]


def described(error: BaseException) -> str:
    """Return an error's type and the line of the user's own code that raised it, if there is one.

    >>> described(ValueError("no"))
    'ValueError'
    """
    return f"{type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    library = Path(__file__).resolve().parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if "site-packages" not in path.parts and library not in path.parents:
            return f" at {path.name}:{frame.lineno}"
    return ""
