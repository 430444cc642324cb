"""A fixture for code that would wait forever if it were wrong."""

import faulthandler
from collections.abc import Iterator

import pytest


@pytest.fixture
def must_end() -> Iterator[None]:
    """Ends the test process, with a traceback, if the test has not ended after a minute.

    Exceptions from a signal handler would not do: they are not raised inside a function of C.
    """
    faulthandler.dump_traceback_later(60, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
