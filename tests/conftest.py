"""Strictness for the whole suite: dtype promotion is strict and rank promotion is an error."""

import os
import shutil
import tempfile

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# What is compiled here runs a few times at most: LLVM's lower effort halves the suite's time. With
# none at all, training takes longer than is saved.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
# Two workers on two cores: more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

import jax
import jaxtyping
import pytest

from tests.browser import CHROMIUM, PATIENCE
from tests.compiled import earlier_programs, hand_on, take
from tests.together import run_together

EARLIER = earlier_programs()
# Nothing is read from or left in the user's cache of jcnn.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="jcnn-test-cache-")
COMPILED = Path(os.environ["XDG_CACHE_HOME"], "of-the-tests")
take(EARLIER, COMPILED)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(COMPILED))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_sessionfinish():
    hand_on(COMPILED, EARLIER)
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Schedule by `run_together`: pytest 9.2 ignores the groups that pytest-xdist 3.8 assigns."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return run_together(nodeid)

    return Together(config, log)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory):
    """The directory of `STUDY_OF_DIGITS`, finished; tests that change it take a copy."""
    from jcnn.study import Study
    from tests.small import STUDY_OF_DIGITS

    directory = tmp_path_factory.mktemp("finished") / "x"
    Study(**STUDY_OF_DIGITS).run(directory)
    return directory


@pytest.fixture
def key() -> jax.Array:
    return jax.random.key(0)


@pytest.fixture
def unchecked_types(monkeypatch):
    """jcnn's own errors, where the suite's type checker would speak first."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, to which elsewhere.example is another name of this machine."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    rules = "--host-resolver-rules=MAP elsewhere.example 127.0.0.1"
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", rules]
        )
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Opens a file or an address at a width; the page, what it said, and what it asked for."""
    pages = []

    def open_(place, width=1440, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(place.as_uri() if isinstance(place, Path) else place)
        return page, said, asked

    yield open_
    for page in pages:
        page.close()
