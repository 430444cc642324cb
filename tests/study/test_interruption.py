"""Studies that are killed at every event and at random, or run out of disk."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from jcnn.study.storage.ledger import Ledger
from tests.slow import short_first

HERE = Path(__file__).parent
WORKERS = 2

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="killing at every system call needs Linux and a C compiler",
)


class Worker:
    def __init__(self, library, cache):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "crash_worker.py"), str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"LD_PRELOAD": str(library)},
        )
        assert self.process.stdout.readline() == "ready\n"

    def ask(self, directory, **asked):
        self.process.stdin.write(json.dumps({"directory": str(directory), **asked}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    built = tmp_path_factory.mktemp("kill") / "kill_at.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(built), str(HERE / "kill_at.c"), "-ldl"], check=True
    )
    return built


@pytest.fixture(scope="module")
def workers(library, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    started = [Worker(library, cache) for _ in range(WORKERS)]
    yield started
    for worker in started:
        worker.stop()


@pytest.fixture(scope="module")
def whole(workers, tmp_path_factory):
    """The answer of an uninterrupted study, and how many events there are on the way to it."""
    for worker in workers:
        directory = tmp_path_factory.mktemp("whole") / "study"
        done = worker.ask(directory)
        assert done["error"] == ""
    return (directory / "results.json").read_bytes(), done["events"]


def shared_out(workers, asked, job):
    """Do `job(worker, one)` for each of `asked`, a worker at a time."""
    shares = [asked[i :: len(workers)] for i in range(len(workers))]
    with ThreadPoolExecutor(len(workers)) as pool:
        parts = pool.map(lambda w, share: [job(w, one) for one in share], workers, shares)
    return [found for part in parts for found in part]


@pytest.mark.parametrize("every", short_first([45, 1]))
def test_killed_at_every_write_sync_and_rename(every, workers, whole, tmp_path):
    """The next start gives byte-identical results; at every second event the write is torn."""
    answer, events = whole
    assert events > 100

    def killed(worker, at):
        directory = tmp_path / f"at{at}"
        first = worker.ask(directory, kill_at=at, tear=at % 2)
        then = worker.ask(directory)
        same = (directory / "results.json").read_bytes() == answer
        shutil.rmtree(directory)
        # Threads merge a write now and then, so the last events may not come.
        beyond = first["code"] == 0 and first["events"] < at
        return at, beyond, first["code"], then["code"], then["error"], same

    found = shared_out(workers, range(every, events + 1, every), killed)
    went_on = [one for one in found if not one[1]]
    assert [one for one in went_on if one[2:] != (-signal.SIGKILL, 0, "", True)] == []
    assert [one for one in found if one[1] and one[2:] != (0, 0, "", True)] == []
    assert len(went_on) > 0.9 * len(found)


@pytest.mark.parametrize("wanted", short_first([2, 50]))
def test_killed_at_random_moments(wanted, workers, whole, tmp_path):
    """Several times each, until it has been through."""
    answer, _ = whole
    began = time.perf_counter()
    workers[0].ask(tmp_path / "timed")
    lasts = time.perf_counter() - began
    moments = random.Random(0)
    kills = 0
    for number in range(4 * wanted):
        directory = tmp_path / f"study{number}"
        for _ in range(10):
            asked = {"seconds": moments.uniform(0.05, 0.9) * lasts}
            kills += workers[number % WORKERS].ask(directory, **asked)["code"] == -signal.SIGKILL
            if (directory / "results.json").exists():
                break
        done = workers[number % WORKERS].ask(directory)
        assert (done["code"], done["error"]) == (0, "")
        assert (directory / "results.json").read_bytes() == answer
        if kills >= wanted:
            return
    pytest.fail(f"only {kills} kills happened")


@pytest.mark.parametrize("limit", short_first([1_000, 6_000, 0, 200, 3_000, 12_000, 16_384], 2))
def test_no_room_for_files(limit, workers, whole, tmp_path):
    """A clear error, and what was finished before is intact."""
    worker = workers[0]
    done = worker.ask(tmp_path / "x", limit=limit)
    assert done["code"] == 0
    if limit < 6_000 or done["error"]:
        assert done["error"].startswith(("StorageError: cannot write", "OSError: cannot store"))
    done = worker.ask(tmp_path / "x")
    assert done["error"] == ""
    assert (tmp_path / "x" / "results.json").read_bytes() == whole[0]


@contextmanager
def small_disk(path, size):
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("size", short_first(["40k", "128k", "8k", "16k", "24k", "64k"], 2))
def test_a_full_disk(size, workers, whole, tmp_path):
    worker = workers[0]
    with small_disk(tmp_path / "disk", size) as disk:
        done = worker.ask(disk / "x")
        assert done["code"] == 0
        if done["error"]:
            assert done["error"].startswith(("StorageError: cannot write", "OSError: cannot store"))
        else:
            assert (disk / "x" / "results.json").read_bytes() == whole[0]
        if size == "8k":
            assert done["error"]
        if (disk / "x" / "ledger.sqlite").exists():
            shutil.copytree(disk / "x", tmp_path / "copy")
            finished = len(Ledger(tmp_path / "copy").runs())
            assert finished in (0, 2)
    if (tmp_path / "copy").exists():
        assert worker.ask(tmp_path / "copy")["error"] == ""
        assert (tmp_path / "copy" / "results.json").read_bytes() == whole[0]
