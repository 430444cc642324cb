"""Interruption: Ctrl-C and SIGTERM both end a command cleanly, each with its own exit code."""

import signal
from typing import Any


class Terminated(KeyboardInterrupt):
    """Raised when the process receives SIGTERM."""


# The interruptions received so far, which Python may have failed to raise.
_received: list[type[KeyboardInterrupt]] = []


def handle_signals() -> None:
    """Make SIGTERM end the command as Ctrl-C does, and remember both.

    Only effective in the main thread.
    """

    def stop(number: int, _: Any) -> None:
        interruption = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        _received.append(interruption)
        raise interruption

    try:
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
            signal.signal(signal.SIGINT, stop)
    except ValueError:
        return  # not the main thread


def raise_if_interrupted() -> None:
    """Raise an interruption that Python dropped, as it does for one raised in a finalizer."""
    if _received:
        raise _received[-1]


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Return 128 plus the signal's number, as shells do."""
    number = signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT
    return 128 + number
