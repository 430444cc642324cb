"""Compiled programs: kept on disk, so that a second start compiles nothing, and counted."""

import os
import threading
from pathlib import Path
from typing import NamedTuple

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"
_FOUND = "/jax/compilation_cache/cache_hits"


class Compilations(NamedTuple):
    """Programs that XLA compiled, and that were found on disk; `seconds` spent on either."""

    compiled: int
    found: int
    seconds: float

    def since(self, earlier: "Compilations") -> "Compilations":
        """What has come since `earlier`."""
        return Compilations(
            self.compiled - earlier.compiled,
            self.found - earlier.found,
            self.seconds - earlier.seconds,
        )


def keep_compiled(directory: str | os.PathLike[str]) -> None:
    """Keep every compiled program in `directory`, unless the user has named one for JAX already.

    JAX's own defaults leave out what compiles in under a second, which is most of a study. Where
    the directory cannot be written, nothing is kept.

    >>> before = jax.config.jax_compilation_cache_dir
    >>> keep_compiled("/dev/null/compiled")  # cannot be written
    >>> jax.config.jax_compilation_cache_dir == before
    True
    """
    if jax.config.jax_compilation_cache_dir is None and _writable(Path(directory)):
        jax.config.update("jax_compilation_cache_dir", str(Path(directory)))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


class _Counter:
    """Listens to JAX's events, which come from any thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.programs, self.found, self.seconds = 0, 0, 0.0
        jax.monitoring.register_event_listener(self.on_event)
        jax.monitoring.register_event_duration_secs_listener(self.on_duration)

    def on_event(self, event: str, **_: str | int) -> None:
        if event == _FOUND:
            with self.lock:
                self.found += 1

    def on_duration(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILED:
            with self.lock:
                self.programs += 1
                self.seconds += duration_secs


_counter = _Counter()


def compilations() -> Compilations:
    """What this process has compiled so far, in all threads.

    >>> import jax, jax.numpy as jnp
    >>> before = compilations()
    >>> _ = jax.jit(lambda x: x + 2)(jnp.ones(7))
    >>> since = compilations().since(before)
    >>> since.compiled + since.found > 0
    True
    """
    with _counter.lock:
        compiled = _counter.programs - _counter.found
        return Compilations(compiled, _counter.found, _counter.seconds)
