"""Programs compiled by earlier runs of the tests, which are most of a run's time.

JAX's cache is not safe against a reader in the middle of a write. So each test process has its own
cache, which starts with the programs of earlier runs and hands on what it adds.
"""

import contextlib
import hashlib
import os
import platform
from pathlib import Path

# The size at which the oldest programs are deleted.
MOST_BYTES = 2**30


def earlier_programs():
    """The folder of earlier runs' programs, one per kind of processor."""
    home = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    # Set for the processes that this one starts: their XDG_CACHE_HOME is another.
    root = Path(os.environ.setdefault("JCNN_TEST_CACHE", str(Path(home, "jcnn-tests"))))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return root / hashlib.sha256(features.encode()).hexdigest()[:12]


def take(source, cache):
    """Fill a process's own cache from the folder of earlier runs."""
    cache.mkdir(parents=True)
    with contextlib.suppress(OSError):  # the folder cannot be made, or another process deletes
        source.mkdir(parents=True, exist_ok=True)
        for entry in source.iterdir():
            with contextlib.suppress(OSError):
                os.link(entry, cache / entry.name)


def hand_on(cache, source):
    """Add a process's programs to the folder, and delete the oldest of too many."""
    with contextlib.suppress(OSError):
        for entry in cache.glob("*-cache"):
            with contextlib.suppress(FileExistsError):
                os.link(entry, source / entry.name)
        entries = sorted(((s.st_mtime, s.st_size, e) for e, s in statuses(source)), reverse=True)
        total = 0
        for _, size, entry in entries:
            total += size
            if total > MOST_BYTES:
                entry.unlink(missing_ok=True)


def statuses(folder):
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            yield entry, entry.stat()
