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
