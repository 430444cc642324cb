"""`jcnn diagnose`: a fault, what would help, a training followed; heat maps."""

import json

import pytest

from jcnn.cli import main
from jcnn.study import Study
from tests.slow import short_first
from tests.small import SMALL


@pytest.mark.slow
def test_the_command_names_a_fault_and_tries_remedies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    faulty = ["--depth", "8", "--width", "4", "--activation", "sigmoid"]
    command = ["diagnose", "plain", *faulty, "--kernel-init", "normal:0.01"]
    assert main([*command, "--try-remedies", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["verdicts"][0]["layer"]) == ("vanishing", "conv7")
    as_it_is, relu, *_ = found["tried"]
    assert (as_it_is["change"], as_it_is["verdict"]) == ({}, "vanishing")
    assert relu["change"] == {"activation": "relu", "kernel_init": "he_normal"}
    assert relu["verdict"] == "healthy"
    assert relu["mean"] > as_it_is["mean"]
    assert list(tmp_path.iterdir()) == []


def test_the_command_names_a_fault(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    faulty = ["--factor", "hidden", "16,16,16,16,16,16", "--activation", "sigmoid"]
    assert main(["diagnose", "mlp", *faulty, "--kernel-init", "normal:0.01", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "vanishing"
    assert list(tmp_path.iterdir()) == []


def test_the_command_on_a_healthy_network_and_wrong_arguments(capsys):
    assert main(["diagnose", "--model", "mlp", "--singular-values"]) == 0
    text = capsys.readouterr().out
    assert "healthy" in text
    assert "activations: relu" in text
    assert main(["diagnose", "mlp", "--model", "mlp"]) == 2
    assert main(["diagnose", "mlp", "--depth", "3"]) == 2
    assert "unknown factor 'depth'" in capsys.readouterr().err


DEEP = {
    "mlp": f"--model mlp --factor hidden {'16,' * 7}16 --normalization none --no-report",
    "plain": "--model plain --factor depth 16 --factor width 32",
}


@pytest.mark.parametrize("model", short_first(DEEP))
def test_the_ranking_says_why(model, tmp_path, capsys):
    arguments = [
        *("compare", *DEEP[model].split()),
        *("--activation", "sigmoid", "relu", "--kernel-init", "he_normal", "--seeds", "2"),
        *("--learning-rate", "0.1", "--epochs", "1", "--diagnose", "--no-report"),
        *("--out", str(tmp_path / "out")),
    ]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "verdict" in text
    (line,) = [line for line in text.splitlines() if "vanishing" in line]
    assert "sigmoid" in line
    assert main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["ranking"]
    why = {row["levels"]["activation"]: row["why"] for row in rows}
    assert why["relu"][0]["verdicts"] == [] or why["relu"][0]["gradient_ratio"] > 0.1
    assert why["sigmoid"][0]["verdicts"][0]["kind"] == "vanishing"
    assert why["sigmoid"][0]["gradient_ratio"] < 1e-3
    picture = tmp_path / "layers.png"
    shown = ["runs", "show", str(tmp_path / "out"), "--heat-map", str(picture)]
    assert main([*shown, "--of", "activation=sigmoid"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_study_without_it_says_how_to_get_a_heat_map(tmp_path, capsys):
    Study(factors={}, model="mlp", **SMALL | {"epochs": 1}).run(tmp_path / "plain")
    shown = ["runs", "show", str(tmp_path / "plain"), "--heat-map", str(tmp_path / "x.png")]
    assert main(shown) == 2
    assert "--diagnose" in capsys.readouterr().err


@pytest.mark.parametrize("model", short_first(["mlp", "lenet"]))
def test_diagnose_follows_a_training(model, tmp_path, capsys):
    picture = tmp_path / "layers.svg"
    given = ["diagnose", model, "--follow", "1", "--every", "5", "--heat-map", str(picture)]
    assert main(given) == 0
    assert "final test accuracy" in " ".join(capsys.readouterr().out.split())
    assert "<svg" in picture.read_text()
    assert main(["diagnose", "--heat-map", str(picture)]) == 2
    assert "--follow" in capsys.readouterr().err
