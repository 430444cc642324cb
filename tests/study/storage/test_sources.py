"""The sources on which a run's key depends: the numeric packages and no others."""

import shutil
from pathlib import Path

import jcnn
from jcnn.study.storage import run_key

PACKAGE = Path(jcnn.__file__).parent
# What changes no number of a training: editing it keeps every ledger valid.
NOT_NUMERIC = {
    "export",
    "__init__",
    "__main__",
    "analysis",
    "bench",
    "cli",
    "errors",
    "explore",
    "interruption",
    "public",
    "pytest_plugin",
    "report",
    "strict_json",
    "study",
    "testing",
    "theory",
    "version",
}


def test_every_package_is_numeric_or_not():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix in (".py", "")}
    known = {*run_key.NUMERIC, *run_key.FITTED, *NOT_NUMERIC}
    assert parts - {"__pycache__", "py"} == known
    assert len(known) == len(run_key.NUMERIC) + len(run_key.FITTED) + len(NOT_NUMERIC)


def edited(part, folder):
    """The hash of numeric sources after a line is added to a part of jcnn."""
    root = folder / "jcnn"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    place = root / part
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    file.write_text(f"{file.read_text()}\n# edited\n")
    return run_key.of_sources(run_key.NUMERIC, root)


def test_only_edits_of_numeric_sources_change_the_key(tmp_path):
    before = run_key.of_sources(run_key.NUMERIC)
    for part in ("explore", "testing", "strict_json", "__main__", "report", "tracing"):
        assert edited(part, tmp_path / part) == before
    for part in ("pooling", "activations", "engine"):
        assert edited(part, tmp_path / part) != before
