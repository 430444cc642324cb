"""What tests of pages in a real browser share; its fixtures are in conftest."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
NEEDS_A_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
PATIENCE = 120_000  # milliseconds; a machine that does other work compiles slowly


def beyond_the_edge(page, inside):
    """Elements that reach out of the screen without lying in what scrolls or is `inside`."""
    return page.evaluate(
        """(inside) => [...document.querySelectorAll("body *")].filter((e) =>
             e.getBoundingClientRect().right > innerWidth + 1 &&
             !e.closest(inside)).map((e) => e.outerHTML.slice(0, 120))""",
        f".scroll, {inside}",
    )
