"""Runs a small study in a forked child for each line of standard input; see test_interruption.

A line is JSON: `directory`; `kill_at`, an event under the directory at which the child is killed
(with `tear`, in the middle of it); `seconds` after which it is; `limit`, the most bytes of a file.
The answer is JSON: the child's `code` (negative: killed), its `events` and its `error`.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time

import numpy as np

from jcnn import engine
from jcnn.engine import _training
from jcnn.study import Study, runner


def study():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    inputs = (rng.normal(size=(80, 4)) + labels[:, None]).astype(np.float32)
    return Study(
        data=(inputs, labels),
        model="mlp",
        factors={"hidden": [()]},
        learning_rates=[0.1],
        seeds=2,
        epochs=2,
        batch_size=16,
    )


def child(library, asked):
    engine.enable_compilation_cache(sys.argv[1])
    if asked.get("limit") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], resource.RLIM_INFINITY))
    library.watch(asked["directory"].encode(), asked.get("kill_at", 0), asked.get("tear", 0))
    try:
        study().run(asked["directory"])
        answer = {"events": library.events(), "error": ""}
    except Exception as error:
        answer = {"events": library.events(), "error": f"{type(error).__name__}: {error}"}
    return json.dumps(answer).encode()


def run(library, asked):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, child(library, asked))
        finally:
            os._exit(0)
    os.close(writing)
    if asked.get("seconds"):
        time.sleep(asked["seconds"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading) as answer:
        found = json.loads(answer.read() or "{}")
    return found | {"code": os.waitstatus_to_exitcode(status)}


def main():
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.events.restype = ctypes.c_long
    library.watch.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
    runner.CHECKPOINT_SECONDS = 0.0
    runner.CHECKPOINT_SHARE = 1e9
    _training.FIRST_CALL = 16  # an epoch a call
    # What a study imports late is imported before forking.
    for module in ("orbax.checkpoint", "scipy.stats"):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(library, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
