"""Runs a small study in a forked child for each line of standard input; see test_interruption.

A line is `directory kill_at tear seconds`: the child is killed at that event under the directory
(0: never), or after that many seconds (0: never). The answer is `exit_status events`.
"""

import ctypes
import importlib
import os
import signal
import sys
import time

import numpy as np

from jcnn import engine
from jcnn.engine import group
from jcnn.study import Study, execution

LIBRARY = ctypes.CDLL(os.environ["LD_PRELOAD"])
LIBRARY.events.restype = ctypes.c_long
LIBRARY.watch.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]


def study():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    inputs = (rng.normal(size=(80, 4)) + labels[:, None]).astype(np.float32)
    return Study(
        data=(inputs, labels),
        model="mlp",
        factors={"hidden": [(4,)]},
        learning_rates=[0.1],
        seeds=2,
        epochs=2,
        batch_size=16,
    )


def run(directory, kill_at, tear, seconds):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            engine.keep_compiled(sys.argv[1])
            LIBRARY.watch(directory.encode(), kill_at, tear)
            study().run(directory)
            os.write(writing, str(LIBRARY.events()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return os.waitstatus_to_exitcode(status), answer.read() or "0"


if __name__ == "__main__":
    execution.CHECKPOINT_SECONDS = 0.0
    execution.CHECKPOINT_SHARE = 1e9
    group.FIRST_CALL = 16  # an epoch a call
    # What a study imports late is imported before forking.
    for module in ("orbax.checkpoint", "scipy.stats", "statsmodels.stats.power"):
        importlib.import_module(module)

    print("ready", flush=True)
    for line in sys.stdin:
        directory, kill_at, tear, seconds = line.split()
        print(*run(directory, int(kill_at), int(tear), float(seconds)), flush=True)
