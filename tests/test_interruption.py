"""Processes that are interrupted wherever Python itself would print a traceback, or go on."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
# Who runs tests in the background may have Ctrl-C ignored.
START = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from jcnn.interruption import exit_on_signals, on_interruption, wait_if_interrupted
exit_on_signals()
def ready():
    os.write(1, b"ready\\n")
"""
# Code that Python cannot interrupt by an exception.
DEAF = {
    "in a call that is not Python": "import hashlib; ready(); "
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "in a finalizer": """
class Slow:
    def __del__(self):
        ready()
        time.sleep(60)
Slow()
""",
    "in code that catches everything": """
ready()
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
""",
    "at exit": """
import atexit
atexit.register(lambda: (ready(), time.sleep(60)))
""",
}


def started(code, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", START + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def interrupted(process, number):
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("body", DEAF.values(), ids=DEAF)
def test_the_process_ends_with_one_line(body, number, code):
    assert interrupted(started(body), number) == (code, "jcnn: interrupted\n")


def test_an_event_loop_with_handlers_of_its_own():
    body = """
import asyncio
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: None)
    ready()
    await asyncio.sleep(60)
asyncio.run(main())
"""
    assert interrupted(started(body), signal.SIGINT) == (130, "jcnn: interrupted\n")


def test_other_signals_do_not_end_the_process():
    process = started(
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'heard\\n')); ready()\n"
        "while True: time.sleep(1)"
    )
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "heard\n"
    assert interrupted(process, signal.SIGTERM) == (143, "jcnn: interrupted\n")


def test_an_ignored_ctrl_c_stays_ignored():
    body = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
exit_on_signals()
ready()
time.sleep(60)
"""
    process = started(body)
    process.send_signal(signal.SIGINT)
    assert interrupted(process, signal.SIGTERM) == (143, "jcnn: interrupted\n")


def test_actions_run_before_the_end_and_the_last_one_says_what_happened(tmp_path):
    body = f"""
path = {str(tmp_path / "removed")!r}
open(path, "w").close()
with on_interruption(lambda: "the outer line"):
    with on_interruption(lambda: "too late"):
        pass
    with on_interruption(lambda: "the inner line"), on_interruption(lambda: os.remove(path)):
        sys.stdout = open(1, "w", closefd=False)  # buffered
        print("printed before")
        ready()
        time.sleep(60)
"""
    process = started(body)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, errors) == (130, "printed before\n", "the inner line\n")
    assert not (tmp_path / "removed").exists()


@pytest.mark.parametrize("action", ["time.sleep(60)", "1 / 0"])
def test_an_action_that_hangs_or_fails_does_not_prevent_the_end(action):
    body = f"with on_interruption(lambda: {action}): ready(); time.sleep(60)"
    assert interrupted(started(body), signal.SIGTERM) == (143, "jcnn: interrupted\n")


def test_errors_that_an_interruption_causes_are_not_printed():
    body = """
import threading
from jcnn.cli import parser
from jcnn.cli.main import entry
ended = threading.Event()
def run(chosen):
    with on_interruption(lambda: (ended.set(), time.sleep(0.3))[1]):
        ready()
        ended.wait()
        raise ValueError("an effect of the interruption")
import argparse
parser.parse = lambda words: argparse.Namespace(run=run, command="x", json=False, quiet=False)
entry()
"""
    assert interrupted(started(body), signal.SIGINT) == (130, "jcnn: interrupted\n")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_command_that_ends_because_of_the_signal(number, code):
    """A server may catch the signal, end, and send it to itself again."""
    body = """
from jcnn.cli import parser
from jcnn.cli.main import entry
import argparse
def run(chosen):
    caught = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: caught.append(number)) for number in numbers]
    signal.set_wakeup_fd(-1)  # as an event loop may do
    ready()
    while not caught:
        time.sleep(0.01)
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)
    signal.raise_signal(caught[0])
    return 0
parser.parse = lambda words: argparse.Namespace(run=run, command="x", json=False, quiet=False)
entry()
"""
    assert interrupted(started(body), number) == (code, "jcnn: interrupted\n")


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_that_are_timed_end_too(tmp_path):
    body = """
from jcnn.bench.processes import run_process
child = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(100)"
ready()
run_process([sys.executable, "-c", child, sys.argv[1]], {})
"""
    process = started(body, tmp_path / "pid")
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    assert is_running(child)
    assert interrupted(process, signal.SIGTERM) == (143, "jcnn: interrupted\n")
    until = time.monotonic() + 20
    while is_running(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(child)


def test_an_interrupted_download_leaves_nothing_behind(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        body = f"""
from pathlib import Path
from jcnn.data.fetch import RemoteFile, fetch
ready()
address = "http://127.0.0.1:{server.getsockname()[1]}/"
fetch(RemoteFile("file", address, 100, ""), Path(sys.argv[1]))
"""
        process = started(body, tmp_path)
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning")
            while not list(tmp_path.rglob("file")):
                time.sleep(0.01)
            assert interrupted(process, signal.SIGTERM) == (143, "jcnn: interrupted\n")
    assert list(tmp_path.iterdir()) == []
