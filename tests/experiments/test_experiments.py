"""Every experiment runs, cut short, and its header holds command and result."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
SCRIPTS = sorted(
    path
    for path in FOLDER.glob("*.py")
    if path.name not in ("common.py", "reproduce.py", "check_textbook.py")
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_has_a_header(path):
    header = path.read_text().split('"""')[1]
    for part in ("Command: python experiments/", "Cost: ", "Result "):
        assert part in header, f"{path.name} lacks {part!r}"


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    done = subprocess.run(
        [sys.executable, path, "--smoke", "--out", tmp_path / "o"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o" / "results.json").exists()
    assert "%" in done.stdout
