"""Being told to stop: Ctrl-C and SIGTERM both end a command in order, with the code of each."""

import signal
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


# What a command was told, and may not have heard.
_told: list[type[KeyboardInterrupt]] = []


def take_signals() -> None:
    """Have SIGTERM end the command as Ctrl-C does, and remember both; from the main thread only."""

    def stop(number: int, _: Any) -> None:
        told = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        _told.append(told)
        raise told

    try:
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
            signal.signal(signal.SIGINT, stop)
    except ValueError:
        return  # not the main thread, which has the signals


def hear() -> None:
    """Raise what came while Python could not: it drops what is raised in a finalizer, say."""
    if _told:
        raise _told[-1]


def exit_code(interruption: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells have it."""
    told = signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT
    return 128 + told
