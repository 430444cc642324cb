"""Programs that this process compiled before, which groups of the same structure use again."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import jax

# The number of programs that are kept, those used last.
_MOST = 32
_programs: OrderedDict[tuple[str, tuple[int, ...]], jax.stages.Compiled] = OrderedDict()
_lock = threading.Lock()


def compiled(lowered: jax.stages.Lowered, devices: Sequence[jax.Device]) -> jax.stages.Compiled:
    """Compile a program for `devices`, unless the same text was compiled for them before.

    Studies that follow each other in a process, as batches of points do, share programs, and so do
    models that differ only in what their program does not contain.
    """
    text = hashlib.sha256(lowered.as_text().encode()).hexdigest()
    key = text, tuple(device.id for device in devices)
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
            return _programs[key]
    program = lowered.compile()  # not under the lock: threads compile at the same time
    with _lock:
        _programs[key] = program
        while len(_programs) > _MOST:
            _programs.popitem(last=False)
    return program
