"""`jcnn compare` beside another process, killed, interrupted and terminated."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from jcnn.study.storage.ledger import Ledger
from tests.slow import short_first

COMMAND = (
    "compare --model mlp --activation tanh relu gelu --kernel-init he_normal --normalization none "
    "--learning-rate 0.1 --seeds 2 --epochs 2 --json --out"
)


def command(out, environment, *options):
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            # Who runs tests in the background may have Ctrl-C ignored.
            "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); "
            "from jcnn.cli.main import entry; entry()",
            *COMMAND.split(),
            str(out),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("report", short_first([["--no-report"], []]), ids=["without", "report"])
def test_two_processes_on_one_study(report, tmp_path):
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    both = [command(tmp_path / "x", cache, *report) for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (json.loads(out) for out, _ in told)
    assert first["ranking"] == second["ranking"]
    assert sum(one["environment"]["runs_trained"] for one in (first, second)) == 6
    assert len(first["runs"]) == len(Ledger(tmp_path / "x").runs()) == 6
    alone = command(tmp_path / "y", cache, *report)
    assert json.loads(alone.communicate()[0])["ranking"] == first["ranking"]


@pytest.mark.slow
def test_a_process_that_waits_goes_on_when_the_other_is_killed(tmp_path):
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first = command(tmp_path / "x", cache, "--no-report")
    hidden = tmp_path / "x" / ".unfinished"
    while not hidden.exists():
        time.sleep(0.01)
    second = command(tmp_path / "x", cache, "--no-report")
    time.sleep(0.5)
    first.kill()
    first.communicate()
    out, told = second.communicate()
    assert second.returncode == 0, told
    assert len(json.loads(out)["runs"]) == 6


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_being_told_to_stop(told, code, tmp_path):
    process = command(tmp_path / "x", {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    while not (tmp_path / "x" / ".unfinished").exists():
        time.sleep(0.01)
    process.send_signal(told)
    _, error = process.communicate()
    assert process.returncode == code
    assert "interrupted; " in error
    assert "run the same command again to continue" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("moments", short_first([range(300, 1500, 500), range(0, 8000, 200)]))
def test_told_to_stop_at_any_moment(moments, tmp_path):
    """At every moment the answer is one line and the exit code, and what is kept can be used."""
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    for i, milliseconds in enumerate(moments):
        told, code = [(signal.SIGTERM, 143), (signal.SIGINT, 130)][i % 2]
        process = command(tmp_path / "x", cache, "--no-report")
        time.sleep(milliseconds / 1000)
        process.send_signal(told)
        _, error = process.communicate()
        if process.returncode == 0:  # it was faster
            continue
        # Until Python runs its first line, a signal has its default effect.
        assert process.returncode in (code, -told), error
        assert process.returncode < 0 or error.startswith("jcnn"), error
        assert error.count("\n") <= 1 or "<frozen site>" in error, error
    out, error = command(tmp_path / "x", cache, "--no-report").communicate()
    assert len(json.loads(out)["runs"]) == 6, error
