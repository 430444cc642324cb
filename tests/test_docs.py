"""The documentation: every block of code is run somewhere, every public name has its place."""

import ast
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import nbclient
import nbformat
import pytest

import jcnn

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def hooks():
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_block_of_code_is_run_when_the_site_is_built(page):
    text = page.read_text()
    for language, options, code in FENCE.findall(text):
        if language not in ("python", "bash", "pycon", "console"):
            continue
        excerpts = re.findall(r'^--8<-- "(.*?):\w+"$', code, re.MULTILINE)
        if excerpts:  # parts of a script that the page runs whole
            assert len(excerpts) == len(code.strip().splitlines())
            for script in excerpts:
                assert (ROOT / script).is_file()
                assert f"\npython {script}\n```" in text
        else:
            assert 'exec="on"' in options, code


def test_every_figure_that_learning_shows_has_its_script_and_command():
    for page in (DOCS / "learn").glob("*.md"):
        text = page.read_text()
        for figure in re.findall(r"!\[[^\]]*\]\((\w+)\.svg\)", text):
            assert (page.parent / f"{figure}.svg").is_file()
            assert (page.parent / f"{figure}.py").is_file()
            command = text.index(f"\npython docs/learn/{figure}.py\n")
            assert command > text.index(f"({figure}.svg)")  # under it


def test_every_public_name_is_in_the_reference():
    documented = set()
    for page in (DOCS / "reference").glob("*.md"):
        documented.update(re.findall(r"^\[names ([\w.]+)\]$", page.read_text(), re.MULTILINE))
    public = {f"jcnn.{name}" for name in jcnn._SUBMODULES}
    assert documented >= public | {"jcnn.report", "jcnn.explore"}
    for module in documented:
        places = re.findall(r"^::: (\S+)$", hooks().on_page_markdown(f"[names {module}]"), re.M)
        assert places, module
        for place in places:
            holder, _, name = place.rpartition(".")
            assert not inspect.ismodule(getattr(importlib.import_module(holder), name)), place


def test_the_names_are_those_that_a_module_hands_on_or_defines():
    assert "max_pool" in hooks().public_names("jcnn.pooling")
    assert hooks().public_names("jcnn.dense") == ["dense", "flatten"]
    assert "::: jcnn.diagnosis.lsuv.lsuv" in hooks().on_page_markdown("[names jcnn.diagnosis]")
    text = hooks().on_page_markdown("a\n[names jcnn.dense]\nb")
    assert text == "a\n::: jcnn.dense.dense\n\n::: jcnn.dense.flatten\nb"


NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_its_code_is_python(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    for source in cells:
        ast.parse(source)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
                            ).execute()  # fmt: skip
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output.output_type == "error" for output in shown)
