"""Strictness for the whole suite: dtype promotion is strict and rank promotion is an error."""

import os
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What is compiled here runs a few times at most: LLVM's lower effort halves the suite's time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
# Nothing is read from or left in the user's cache.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="jcnn-test-cache-")

import jax
import jaxtyping
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture
def unchecked_types(monkeypatch):
    """jcnn's own errors, where the suite's type checker would speak first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
