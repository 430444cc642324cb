import jax
import pytest


@pytest.fixture
def promotion():
    """The libraries' own layers promote dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
