"""When a cache of compiled programs is turned on."""

import jax
import pytest

from jcnn.engine import enable_compilation_cache

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def no_cache():
    """JAX without the cache that the tests use."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_a_directory_that_can_be_written_is_used_and_kept(no_cache, tmp_path):
    enable_compilation_cache(tmp_path / "first")
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "first")
    assert jax.config.jax_persistent_cache_min_compile_time_secs == 0
    enable_compilation_cache(tmp_path / "second")
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "first")


def test_a_directory_that_cannot_be_written_is_left_alone(no_cache):
    enable_compilation_cache("/dev/null/compiled")
    assert jax.config.jax_compilation_cache_dir is None
