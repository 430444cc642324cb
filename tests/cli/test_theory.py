"""`jcnn theory`: its table, its figure, and what it refuses."""

import json

import pytest

from jcnn.cli import main


@pytest.mark.slow
def test_theory_prints_a_table_and_writes_a_plot(tmp_path, capsys):
    command = ["theory", "--activation", "tanh", "--bias-variance", "0.05"]
    assert main([*command, "--weight-variance", "1.2,2.5"]) == 0
    printed = capsys.readouterr().out
    assert "ordered" in printed
    assert "chaotic" in printed
    assert "critical at weight variance 1.761" in printed
    figure = tmp_path / "phases.svg"
    assert main([*command, "--weight-variance", "1:2", "--json", "--plot", str(figure)]) == 0
    stored = json.loads(capsys.readouterr().out)
    assert len(stored["points"]) == 13
    assert stored["points"][0]["phase"] == "ordered"
    assert "6 xi_c" in figure.read_text()


@pytest.mark.parametrize(
    "words",
    [["--weight-variance", "2:1"], ["--weight-variance", "x"], ["--activation", "tan"]],
)
def test_what_theory_cannot_read_is_refused(words):
    assert main(["theory", *words]) == 2
