"""The compilation cache: programs kept on disk between processes, and how many were compiled."""

import os
import threading
from pathlib import Path
from typing import NamedTuple

import jax

_COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"
_CACHE_HIT_EVENT = "/jax/compilation_cache/cache_hits"


class Compilations(NamedTuple):
    """Programs that were compiled, programs that were loaded from the cache, and the seconds spent.

    `seconds` covers both and adds up over threads.
    """

    compiled: int
    loaded: int
    seconds: float

    def since(self, earlier: "Compilations") -> "Compilations":
        """Return the difference from `earlier`."""
        return Compilations(
            self.compiled - earlier.compiled,
            self.loaded - earlier.loaded,
            self.seconds - earlier.seconds,
        )


def enable_compilation_cache(directory: str | os.PathLike[str]) -> None:
    """Keep every compiled program in `directory`, unless JAX already has a cache directory.

    By default JAX does not cache programs that compile in less than a second, which are most of a
    study's. Does nothing if the directory cannot be written.

    >>> before = jax.config.jax_compilation_cache_dir
    >>> enable_compilation_cache("/dev/null/compiled")  # cannot be written
    >>> jax.config.jax_compilation_cache_dir == before
    True
    """
    if jax.config.jax_compilation_cache_dir is None and _is_writable(Path(directory)):
        jax.config.update("jax_compilation_cache_dir", str(Path(directory)))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _is_writable(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


class _Counter:
    """Counts JAX's compilation events, which arrive from any thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.programs, self.loaded, self.seconds = 0, 0, 0.0
        jax.monitoring.register_event_listener(self.on_event)
        jax.monitoring.register_event_duration_secs_listener(self.on_duration)

    def on_event(self, event: str, **_: str | int) -> None:
        if event == _CACHE_HIT_EVENT:
            with self.lock:
                self.loaded += 1

    def on_duration(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == _COMPILE_EVENT:
            with self.lock:
                self.programs += 1
                self.seconds += duration_secs


_counter = _Counter()


def compilations() -> Compilations:
    """Return what this process has compiled and loaded so far, in all threads.

    >>> import jax, jax.numpy as jnp
    >>> before = compilations()
    >>> _ = jax.jit(lambda x: x + 2)(jnp.ones(7))
    >>> since = compilations().since(before)
    >>> since.compiled + since.loaded > 0
    True
    """
    with _counter.lock:
        compiled = _counter.programs - _counter.loaded
        return Compilations(compiled, _counter.loaded, _counter.seconds)
