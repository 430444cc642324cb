"""A running explorer, to which experiments talk as its page does."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.sync.client import ClientConnection, connect

from jcnn.explore.memory import resident_bytes


@contextmanager
def running_explorer(warm_up: float) -> Iterator[tuple[ClientConnection, int]]:
    """Start an explorer, wait `warm_up` seconds, and give a connection and its process."""
    command = [sys.executable, "-m", "jcnn", "explore", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip().replace("http", "ws", 1)
        try:
            time.sleep(warm_up)
            with connect(f"{address}socket", max_size=2**24) as connection:
                yield connection, server.pid
        finally:
            server.terminate()


def resident_megabytes(process: int) -> float | None:
    """Return the resident memory of a process in MB, or None if the system does not tell."""
    resident = resident_bytes(process)
    return None if resident is None else resident / 2**20
