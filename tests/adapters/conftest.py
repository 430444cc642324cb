import jax
import pytest


@pytest.fixture(autouse=True)
def lenient():
    """Other people's networks promote types and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
