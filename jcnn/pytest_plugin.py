"""Fixtures for pytest, which finds them by itself where jcnn is installed.

`assert_layer` and `assert_healthy` are those of `jcnn.testing`, and `jcnn_bench` times a function.
They are imported only if a test asks for one of them, which takes seconds.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_TIMED = pytest.StashKey[dict[str, Any]]()


@pytest.fixture(scope="session")
def assert_layer() -> Callable[..., None]:
    """Check a layer on a small batch: `assert_layer(layer, x)`; see `jcnn.testing`."""
    from jcnn.testing import assert_layer

    return assert_layer


@pytest.fixture(scope="session")
def assert_healthy() -> Callable[..., None]:
    """Check a network on a batch: `assert_healthy(model, x, labels)`; see `jcnn.testing`."""
    from jcnn.testing import assert_healthy

    return assert_healthy


@pytest.fixture
def jcnn_bench(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Time a jitted function: `jcnn_bench(function, *arguments, rounds=20)`.

    Returns `median`, `seconds` and `compilations`, which is 0 unless something was compiled again.
    """
    from jcnn.bench.own.in_process import time_calls

    def bench(function: Callable[..., Any], *arguments: Any, rounds: int = 20) -> Any:
        calls = time_calls(function, *arguments, rounds=rounds)
        request.config.stash.setdefault(_TIMED, {})[request.node.nodeid] = calls
        return calls

    return bench


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the results of `jcnn_bench`."""
    parser.getgroup("jcnn").addoption(
        "--jcnn-bench-json",
        metavar="FILE",
        help="write the times of the fixture jcnn_bench to a file, in pytest-benchmark's format "
        "(not with -n of pytest-xdist)",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the times, if they are asked for."""
    path, timed = (
        session.config.getoption("--jcnn-bench-json"),
        session.config.stash.get(_TIMED, {}),
    )
    if path and timed:
        from jcnn.bench.own.in_process import as_pytest_benchmark

        Path(path).write_text(json.dumps(as_pytest_benchmark(timed), indent=1) + "\n")
