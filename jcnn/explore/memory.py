"""The server's memory: compiled programs are kept until they take too much.

Every choice of parts has its own programs, and JAX keeps them all. They are dropped together
when the process has grown by `GROWTH`; what is used again is then loaded from the cache on disk.
"""

import ctypes
import gc
import threading
from pathlib import Path

import jax

from jcnn.engine import compilations
from jcnn.explore import trainer

# The growth in bytes at which programs are dropped: about twice what the warm-up takes.
GROWTH = 10**9
# As many programs must have been added since; otherwise it is not they that take the memory.
PROGRAMS = 100


class ProgramMemory:
    """The memory that compiled programs take; `limit` may be called from any thread."""

    def __init__(self) -> None:
        """Remember the present memory as that without programs."""
        self._lock = threading.Lock()
        self._start, self._kept_from = resident_bytes(), _programs()
        self.drops = 0

    def limit(self) -> None:
        """Drop all programs if the process has grown too much; running trainings keep theirs."""
        with self._lock:
            if not self._is_large():
                return
            _trim()
            if not self._is_large() or _programs() - self._kept_from < PROGRAMS:
                return
            trainer.forget_steps()
            jax.clear_caches()
            gc.unfreeze()  # the warm-up froze its programs
            gc.collect()
            gc.freeze()
            _trim()
            self._kept_from = _programs()
            self.drops += 1

    def _is_large(self) -> bool:
        """Return whether the process has grown by `GROWTH`; true if the system does not tell."""
        now = resident_bytes()
        return now is None or self._start is None or now - self._start > GROWTH


def resident_bytes(process: int | str = "self") -> int | None:
    """Return the resident memory of a process, or None on systems without `/proc`."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def _programs() -> int:
    """Return how many programs this process has compiled or loaded so far."""
    counts = compilations()
    return counts.compiled + counts.loaded


def _trim() -> None:
    """Return free memory to the system, which glibc keeps for each thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
