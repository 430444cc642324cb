"""`jcnn compare`: --set and --dry-run."""

import json

import pytest

from jcnn.cli import main


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epocs=3", "did you mean epochs"),
        ("epochs", "expected KEY=VALUE"),
        ("epochs=0", "epochs=0"),
        ("factors.activation=[1]", "activation=1"),
    ],
)
def test_set_is_checked_like_a_file(word, message, capsys):
    assert main(["compare", "--set", word]) == 2
    assert message in capsys.readouterr().err


def test_none_takes_a_setting_of_the_file_back(tmp_path, capsys):
    file = tmp_path / "study.toml"
    file.write_text('model = "mlp"\nseeds = 2\nmax_runs = 7\nbudget = "1m"\nepochs = 1\n')
    out = ["--dry-run", "--json", "--out", str(tmp_path / "x")]

    def runs(*words):
        assert main(["compare", str(file), *words, *out]) == 0
        return json.loads(capsys.readouterr().out)["runs"]

    assert runs() == 7
    taken_back = [word for key in ("max_runs", "budget") for word in ("--set", f"{key}=none")]
    grid = runs("--full-grid", "--set", "budget=none")
    assert grid == 2 * 5 * 12  # limits of the file do not apply to a full grid
    assert 7 < runs(*taken_back, "--set", "within=none") <= grid
    assert main(["compare", str(file), "--set", "max_rums=none", *out]) == 2
    assert "did you mean max_runs" in capsys.readouterr().err


def test_a_dry_run_trains_nothing(tmp_path, capsys, finished_study):
    command = [
        "compare", "--model", "mlp", "--activation", "tanh", "--kernel-init", "he_normal",
        "--normalization", "none", "--set", "epochs=3", "--set", "learning_rates=[0.1]",
    ]  # fmt: skip
    assert main([*command, "--dry-run", "--json", "--out", str(tmp_path / "x")]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["runs"], plan["finished"], plan["groups"]) == (5, 0, 1)
    assert plan["memory"] > 1e6
    assert not (tmp_path / "x").exists()
    assert main(["compare", str(finished_study), "--dry-run", "--out", str(finished_study)]) == 0
    assert "12 of them have already finished in" in " ".join(capsys.readouterr().out.split())
