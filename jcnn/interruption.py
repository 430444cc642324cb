"""Interruption: Ctrl-C and SIGTERM end the process, whatever its threads are doing.

Python raises KeyboardInterrupt only between two instructions of the main thread: never while it
waits for a compilation, and sometimes in an import or a callback that prints a traceback and goes
on. Here no signal raises anything. A thread reads the signals, runs what is to be done before the
end, and ends the process, which loses nothing that `kill -9` would not lose.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

# The time that the actions together may take.
_GRACE_SECONDS = 1.0
# Ends the line that the terminal shows, and shows the cursor that a live table hides.
_RESTORED = b"\n\x1b[?25h"

# Called at an interruption, the last one first; the first line that one returns is printed.
_actions: list[Callable[[], str | None]] = []
# The signals received so far. A list, because handlers must not wait for a lock.
_received: list[int] = []


def exit_on_signals() -> None:
    """End the process at SIGINT and SIGTERM, with one line on stderr and exit code 130 or 143.

    An ignored SIGINT stays ignored. Does nothing outside the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def handle(number: int, _: Any) -> None:
        _received.append(number)  # before the main thread does anything else
        with contextlib.suppress(BlockingIOError):
            os.write(writer, bytes([number]))

    # The descriptor is written to while the main thread runs no Python code. An event loop may take
    # it over, but then calls the handlers.
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handle)
    threading.Thread(target=_wait, args=(reader,), name="jcnn signals", daemon=True).start()


@contextlib.contextmanager
def on_interruption(action: Callable[[], str | None]) -> Iterator[None]:
    """Call `action` if a signal ends the process inside this context.

    It is called in another thread while the context goes on, and is abandoned after a second. The
    line that it returns is printed in place of "jcnn: interrupted".
    """
    _actions.append(action)
    try:
        yield
    finally:
        _actions.remove(action)


def wait_if_interrupted() -> None:
    """Do not return if a signal is ending the process: what follows may be its consequence."""
    if _received:
        threading.Event().wait()


def _wait(reader: int) -> None:
    number = 0
    while number not in (signal.SIGINT, signal.SIGTERM):  # the descriptor gets every signal
        number = os.read(reader, 1)[0]
    _received.append(number)
    lines: list[str] = []
    acting = threading.Thread(target=_act, args=(lines,), daemon=True)
    acting.start()
    acting.join(_GRACE_SECONDS)
    line = lines[0] if lines else "jcnn: interrupted"
    with contextlib.suppress(OSError):
        # Past sys.stderr, whose lock another thread may hold.
        os.write(2, (_RESTORED if os.isatty(2) else b"") + f"{line}\n".encode())
    os._exit(128 + number)


def _act(lines: list[str]) -> None:
    for action in reversed(_actions):
        with contextlib.suppress(Exception):
            line = action()
            if line is not None:
                lines.append(line)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
