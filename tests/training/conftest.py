"""Optax's Adam and cosine multiply floats by integers, which strict promotion forbids."""

import jax
import pytest


@pytest.fixture(autouse=True)
def standard_promotion():
    """For all threads, since a study compiles in several."""
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", "strict")
