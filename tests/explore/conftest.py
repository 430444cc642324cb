"""A server in a separate process, started as a user starts it."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from jcnn.cli import main
from tests.explore.client import answer, socket_of


@contextmanager
def _served(folder, *arguments):
    """Yield the address of `jcnn explore`, which must neither end nor print a traceback."""
    command = [sys.executable, "-m", "jcnn", "explore", "--no-browser", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()
        try:
            yield address
            running = process.poll() is None
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=30)
    assert running, errors
    assert "Traceback" not in errors


@pytest.fixture
def served(tmp_path):
    """Return a context manager that serves with the given arguments."""
    return lambda *arguments: _served(tmp_path, *arguments)


@pytest.fixture(scope="session")
def explorer(tmp_path_factory):
    """Return the address of a server on digits."""
    with _served(tmp_path_factory.mktemp("explore")) as address:
        yield address


@pytest.fixture
def study_directory(tmp_path):
    """Return the directory of a small study; its learning rate is beyond the page's slider."""
    out = tmp_path / "runs"
    quick = ["--epochs", "1", "--seeds", "1", "--learning-rate", "0.000001", "--quiet"]
    factors = ["--activation", "tanh", "--pooling", "l2", "--factor", "features", "4,"]
    assert main(["compare", *factors, *quick, "--no-report", "--out", str(out)]) == 0
    return out


@pytest.fixture
def page(explorer):
    with socket_of(explorer) as connection:
        assert answer(connection, "welcome")["data"] == "digits"
        yield connection
