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
from IPython.core.inputtransformer2 import TransformerManager

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


def documented_modules():
    pages = [page.read_text() for page in (DOCS / "reference").glob("*.md")]
    return sorted(re.findall(r"^\[names ([\w.]+)\]$", "\n".join(pages), re.MULTILINE))


def exported(module):
    """What `dir()` shows, without modules and without imports for the module's own use."""
    tree = ast.parse(Path(module.__file__).read_text())
    used = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is None
    }
    return {
        name
        for name in dir(module)
        if not name.startswith("_")
        and name not in used
        and not inspect.ismodule(getattr(module, name))
    }


def rendered(module):
    text = hooks().on_page_markdown(f"[names {module}]")
    entries = re.findall(r"^(?:::: |### `)([\w.]+)", text, re.MULTILINE)
    for place in entries:
        holder, _, name = place.rpartition(".")
        assert not inspect.ismodule(getattr(importlib.import_module(holder), name)), place
    return [place.rpartition(".")[2] for place in entries]


def test_every_public_module_is_in_the_reference():
    modules = documented_modules()
    assert set(modules) >= {f"jcnn.{name}" for name in jcnn._SUBMODULES}
    assert len(modules) == len(set(modules))


@pytest.mark.parametrize("module", sorted({f"jcnn.{name}" for name in jcnn._SUBMODULES}
                                          | set(documented_modules())))  # fmt: skip
def test_the_reference_lists_exactly_the_public_names(module):
    names = rendered(module)
    assert set(names) == exported(importlib.import_module(module))
    assert len(names) == len(set(names))


def test_names_are_documented_where_they_are_defined():
    assert hooks().public_names("jcnn.dense") == ["dense", "flatten"]
    assert "::: jcnn.diagnosis.lsuv.lsuv" in hooks().on_page_markdown("[names jcnn.diagnosis]")
    text = hooks().on_page_markdown("a\n[names jcnn.dense]\nb")
    assert text == "a\n::: jcnn.dense.dense\n\n::: jcnn.dense.flatten\nb"


def test_functions_of_jax_are_listed_with_their_summary_and_a_link():
    text = hooks().on_page_markdown("[names jcnn.activations]")
    link = "https://docs.jax.dev/en/latest/_autosummary/jax.nn.relu.html"
    assert (
        "### `jcnn.activations.relu` { #jcnn.activations.relu }\n\nThe same as [`jax.nn.relu`]"
        f"({link}) in JAX. Rectified linear unit activation function.\n"
    ) in text
    assert "[`jax.nn.soft_sign`]" in text  # under another name there
    assert "[`jax.numpy.tanh`]" in text
    assert "::: jcnn.activations.scaled_tanh" in text  # jcnn's own


def test_assigned_names_are_listed_and_aliases_named_after_the_first(tmp_path, monkeypatch):
    (tmp_path / "assigning.py").write_text(
        "from math import sqrt\n\ntwo: int = 2\n_hidden = 3\nTable = {}\nfirst = second = abs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks().on_page_markdown("[names assigning]").split("\n\n") == [
        "::: assigning.first",
        "### `assigning.second` { #assigning.second }",
        "Another name for `assigning.first`.",
        "::: assigning.Table",
        "::: assigning.two",
    ]


NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_its_code_is_python(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    for source in cells:
        ast.parse(TransformerManager().transform_cell(source))  # without IPython's magics


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
