"""Every experiment runs with --smoke, and its header has the command, cost and result."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
# These two test claims; test_papers.py and test_textbook.py run them.
CLAIMS = ("reproduce.py", "check_textbook.py")
# This one simulates studies of recorded runs, and trains nothing.
SIMULATED = "race_errors.py"
# This one shows the way of a network through jcnn.
SHOWN = "own_networks.py"
OTHERS = (*CLAIMS, SIMULATED, SHOWN)
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.name not in OTHERS)


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, FOLDER / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_header_and_index(path):
    header = path.read_text().split('"""')[1]
    assert f"Command: python experiments/{path.name}" in header
    assert "Cost: " in header
    assert "Result" in header
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    done = run(path.name, "--smoke", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "out").rglob("results.json"))
    assert re.search(r"\d(%|\.\d)", done.stdout)


@pytest.mark.slow
def test_races_are_simulated():
    done = run(SIMULATED, "--smoke")
    assert done.returncode == 0, done.stderr
    for part in ("power", "pairs", "chosen rates", "bound", "null"):
        assert f"\n{part}\n  " in done.stdout


@pytest.mark.slow
def test_networks_of_linen_and_equinox(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(SHOWN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("healthy\nhealthy\nUse ")
    right = [
        float(found) for found in re.findall(r"([\d.]+)% of the test images right", done.stdout)
    ]
    assert len(right) == 2
    assert min(right) > 90


@pytest.mark.slow
def test_components_by_name(tmp_path):
    done = run("components.py", "pooling", "--smoke", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pooling\n")
    assert [path.name for path in tmp_path.iterdir()] == ["pooling"]


def test_an_unknown_component_is_refused():
    wrong = run("components.py", "activations")
    assert wrong.returncode == 2
    assert "unknown study 'activations'; known: activation, initializer" in wrong.stderr
