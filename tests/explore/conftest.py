"""A server of its own process, as a user starts it."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    """The address of `jcnn explore` on digits; the process ends with the tests."""
    folder = tmp_path_factory.mktemp("explore")
    command = [sys.executable, "-m", "jcnn", "explore", "--no-browser"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()
        yield address
        running = process.poll() is None
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert running, said
    assert "Traceback" not in said
