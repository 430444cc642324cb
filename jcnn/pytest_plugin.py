"""Fixtures for pytest, which finds them by itself where jcnn is installed.

`assert_layer` and `assert_healthy` are those of `jcnn.testing`, which takes seconds to import and
is imported only if a test asks for one of them.
"""

from collections.abc import Callable

import pytest


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
