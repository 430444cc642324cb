"""Being told to stop: Ctrl-C and SIGTERM both end a command in order, with the code of each."""

import signal
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def take_sigterm() -> None:
    """Have SIGTERM end the command as Ctrl-C does; from the main thread only."""

    def stop(*_: Any) -> None:
        raise Terminated

    try:
        signal.signal(signal.SIGTERM, stop)
    except ValueError:
        return  # not the main thread, which has the signals


def exit_code(interruption: KeyboardInterrupt) -> int:
    """128 and the signal's number, as shells have it."""
    told = signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT
    return 128 + told
