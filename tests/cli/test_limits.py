"""Numbers that would never finish, or need more memory than there is, are answered in one line."""

import pytest

from jcnn.cli import main
from jcnn.study.storage.ledger import Ledger

HUGE = ("1000000000", "1" + "0" * 19)
PLAIN = ["plain", "--activation", "tanh"]
COMPARE = ["compare", "--model", *PLAIN, "--seeds", "1", "--epochs", "1", "--learning-rate", "0.1"]
MODEL = [
    *([command, *PLAIN, f"--{size}"] for command in ("summary", "diagnose", "find-lr")
      for size in ("depth", "width")),
    [*COMPARE, "--factor", "depth"],
    [*COMPARE, "--factor", "width"],
]  # fmt: skip
OTHERS = [
    ["explain", "chain-rule", "--depth"],
    ["find-lr", *PLAIN, "--steps"],
    ["find-lr", *PLAIN, "--repeats"],
    ["bench", "--rounds"],
    [*COMPARE, "--epochs"],
    [*COMPARE, "--seeds"],
    [*COMPARE, "--batch-size"],
    ["explore", "--no-browser", "--port"],
]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("words", [*MODEL, *OTHERS], ids=" ".join)
def test_a_huge_number_is_an_error_in_one_line(words, value, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*words, value]) in (1, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"jcnn {words[0]}: ")


def test_the_limit_of_the_depth_is_stated(capsys):
    assert main(["summary", "plain", "--depth", "1000"]) == 2
    assert "depth=1000; expected at most 250" in capsys.readouterr().err
    assert main(["explain", "chain-rule", "--depth", "501"]) == 2
    assert "--depth 501; expected at most 500" in capsys.readouterr().err


def test_only_the_combination_that_is_too_large_fails(capsys, tmp_path):
    words = "compare --model mlp --factor hidden 4, 1000000000, --activation tanh --epochs 1"
    more = ["--seeds", "1", "--learning-rate", "0.1", "--no-report", "--out", str(tmp_path / "x")]
    assert main([*words.split(), *more]) == 1
    printed = capsys.readouterr()
    assert "hidden=1000000000" in printed.err
    assert "is too large: it has 75,000,000,010 parameters" in " ".join(printed.err.split())
    assert [run["hidden"] for run in Ledger(tmp_path / "x").runs()] == ["4"]
