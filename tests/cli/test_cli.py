"""The command line: results, help, tables, one-line errors, exit codes, no leftover files."""

import argparse
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from jcnn.cli import main, study_arguments
from jcnn.cli.tables import Column, table
from jcnn.errors import UsageError

QUICK = [
    "--no-report", "--epochs", "1", "--seeds", "1", "--learning-rate", "0.1", "--batch-size", "256"
]  # fmt: skip


def test_compare_prints_a_ranking_and_leaves_a_directory(tmp_path, capsys):
    out = tmp_path / "out"
    factors = ["--activation", "tanh", "relu", "--kernel-init", "orthogonal"]
    arguments = ["compare", "--model", "mlp", *factors, *QUICK]
    assert main([*arguments, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "at most 2 runs, 2 compilations" in text
    assert "tanh, orthogonal" in text
    assert "- activation: " in text
    assert (out / "results.json").exists()
    assert (
        main(
            [
                "compare",
                str(out / "study.toml"),
                "--activation",
                "tanh",
                "--json",
                "--no-report",
                "--out",
                str(tmp_path / "again"),
            ]
        )
        == 0
    )
    assert len(json.loads(capsys.readouterr().out)["combinations"]) == 1


def test_a_custom_model_and_image_folders(tmp_path, capsys, monkeypatch):
    from PIL import Image

    rng = np.random.default_rng(0)
    for label in ("dark", "light"):
        folder = tmp_path / "images" / "train" / label
        folder.mkdir(parents=True)
        for i in range(20):
            low = 0 if label == "dark" else 128
            pixels = rng.integers(low, low + 128, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "mymodule_for_test.py").write_text(
        "from flax import nnx\n"
        "class Net(nnx.Module):\n"
        "    def __init__(self, *, rngs): self.layer = nnx.Linear(64, 2, rngs=rngs)\n"
        "    def __call__(self, x): return self.layer(x.reshape(len(x), -1))\n"
    )
    (tmp_path / "s.toml").write_text("[factors]\nweight_decay = [0.0, 0.1]\n")
    monkeypatch.chdir(tmp_path)
    arguments = ["s.toml", "--model", "mymodule_for_test:Net", "--data", "images", *QUICK[:-1], "8"]
    assert main(["compare", *arguments, "--no-report", "--out", "o"]) == 0
    assert "weight decay" in capsys.readouterr().out


def test_data_list(capsys):
    assert main(["data", "list"]) == 0
    assert "digits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["compare", "--activation", "relo"], 2, "did you mean relu"),
        (["compare", "--activaton", "relu"], 2, "did you mean --activation"),
        (["compare", "--epochs", "many"], 2, "invalid int value"),
        (["compare", "missing.toml"], 2, "cannot read the study file missing.toml"),
        (["compare", "bad.toml"], 2, "did you mean epochs"),
        (["compare", "--data", "nowhere"], 2, "nowhere"),
        (["compare", "--data", "broken.npz"], 1, "broken.npz"),
        (["compare", "--out", "file/x"], 1, "file"),
        (["compare", "--factor", "depth"], 2, "needs values"),
        (["compare", "--model", "raising:make"], 1, "raised ZeroDivisionError"),
        (["compare", "."], 2, "No such file or directory"),
        (["compare", "--epochs", "0"], 2, "epochs=0"),
        (["compare", "--factor", "optimizer", "3"], 2, "unknown optimizer"),
        (["compare", "--factor", "batch_size", "0"], 2, "batch_size=0"),
        (["compare", "--gradient-clip", "nan"], 2, "a positive norm"),
        (["compare", "--activation", "leaky_relu:nan"], 2, "expected a number after the colon"),
        (["compare", "--optimizer", "optax:global_norm"], 2, "is not an optimizer"),
        (["compare", "--model", "leaving:make"], 2, "SystemExit"),
        (["compare", "--data-dir", "nowhere", "--data", "mnist"], 1, "no such directory"),
        (["data", "list", "--data-dir", "nowhere"], 1, "no such directory"),
        (["comapre"], 2, "did you mean compare"),
        (["--bogus"], 2, "--bogus"),
        (["nothing"], 2, "unknown command"),
    ],
)
def test_bad_input_is_a_one_line_error_and_writes_nothing(
    arguments, code, message, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("epocs = 1")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 not a zip")
    (tmp_path / "file").write_text("")
    (tmp_path / "raising.py").write_text(
        "def make(*, activation, kernel_init, normalization, rngs): 1 / 0"
    )
    (tmp_path / "leaving.py").write_text("raise SystemExit(7)")
    before = sorted(p.name for p in tmp_path.iterdir())
    try:
        exit_code = main(arguments)
    except SystemExit as stop:
        exit_code = stop.code
    error = capsys.readouterr().err
    assert exit_code == code
    assert message in error
    assert error.strip().count("\n") == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == before


def test_an_interruption_exits_130_and_leaves_no_partial_results(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    command = ["compare", "--model", "mlp", "--activation", "tanh", *QUICK, "--out", str(out)]
    with monkeypatch.context() as patched:
        patched.setattr("jcnn.study.job.Job.compile", interrupted)
        assert main(command) == 130
    assert capsys.readouterr().err == "jcnn: interrupted\n"
    assert not (out / "results.json").exists()
    assert main(command) == 0
    assert main(command) == 0
    assert "nothing was trained" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["false", "true"])
def test_nnx_graph_mode_on_and_off(mode, tmp_path):
    code = (
        "from jcnn.cli import main\n"
        "import sys\n"
        f"sys.exit(main(['compare', '--factor', 'features', '8,', '--normalization', 'batch', "
        f"'--pooling', 'stochastic', '--kernel-init', 'lsuv', "
        f"*{QUICK[1:]!r}, '--json', '--out', {str(tmp_path / 'o')!r}]))"
    )
    environment = os.environ | {"NNX_GRAPH_MODE": mode, "NNX_GRAPH_UPDATES": mode}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ranking"][0]["mean"] > 0.2


def test_a_baseline_is_checked_before_training_and_compared_with(tmp_path, capsys):
    study = ["compare", "--model", "mlp", "--seeds", "2", "--epochs", "1", "--learning-rate", "0.1"]
    factors = ["--activation", "relu", "tanh", "--kernel-init", "he_normal", "--normalization"]
    command = [*study, *factors, "none", "--no-report", "--out", str(tmp_path / "out")]
    for baseline, message in [
        ("activation", "expected FACTOR=LEVEL"),
        ("kernel_init=he_normal", "matches 2 combinations"),
        ("activaton=relu", "did you mean activation"),
    ]:
        assert main([*command, "--baseline", baseline]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--baseline", "activation=relu"]) == 0
    printed = capsys.readouterr().out
    assert "baseline" in printed
    assert "(points)" in printed
    assert " 0.0 " in printed  # over itself


def test_an_unknown_metric_is_an_error_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("line.npz", x_train=np.ones((64, 3), np.float32), y_train=np.linspace(0, 1, 64))
    arguments = ["compare", "--data", "line.npz", "--model", "mlp", "--out", "x"]
    assert main([*arguments, "--metric", "accuracy"]) == 2
    assert "unknown metric 'accuracy'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_set_accepts_any_toml_key(capsys):
    parsed = argparse.Namespace(
        study=None, factor=None, learning_rate=None,
        set=['factors."weird name"=[1, 2]', "model=mlp"],
        **dict.fromkeys((*study_arguments.FACTORS, *study_arguments.SETTINGS)),
        **dict.fromkeys((*study_arguments.OPTIONS, "points", "sample", "metrics")),
    )  # fmt: skip
    assert study_arguments.study_keywords(parsed) == {
        "factors": {"weird name": [1, 2]},
        "model": "mlp",
    }
    parsed.set = ["a b=1"]
    with pytest.raises(UsageError, match="a b is not a key of TOML"):
        study_arguments.study_keywords(parsed)


def test_a_study_of_python_objects_cannot_be_run_from_its_directory(tmp_path, capsys):
    from jcnn.study import Study

    Study(
        model="mlp", factors={"activation": [lambda x: x]}, learning_rates=0.1, seeds=1, epochs=1
    ).run(tmp_path / "x")
    assert main(["compare", str(tmp_path / "x")]) == 2
    assert "run it again from Python" in capsys.readouterr().err


def test_quiet_prints_only_errors(tmp_path, capsys):
    study = ["compare", "--activation", "tanh", *QUICK, "--out", str(tmp_path / "x"), "--quiet"]
    assert main([*study, "--dry-run"]) == 0
    assert main([*study, "--no-report"]) == 0
    assert main(["runs", "show", str(tmp_path / "x"), "--quiet"]) == 0
    assert main(["data", "list", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert main(["runs", "show", str(tmp_path / "x"), "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"]
    assert main(["runs", "show", str(tmp_path), "--quiet"]) == 2
    assert "contains no study" in capsys.readouterr().err
    assert main(["explore", "--quiet", "--no-browser"]) == 2


def test_counts_of_one_are_singular(tmp_path, capsys):
    study = ["compare", "--activation", "tanh", *QUICK, "--out", str(tmp_path / "x")]
    assert main([*study, "--dry-run"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "1 run, 1 compilation: 1 combination x 1 learning rate x 1 seed, 1 epoch each" in words


WORDS = ["glorot_truncated_normal, batch", "tanh, none", "leaky_relu:0.2, layer"]
NUMBERS = ["[97.25%, 98.75%]", "[1.00%, 2.00%]", "diverged"]


@pytest.mark.parametrize("width", [20, 50, 80])
def test_tables_break_neither_words_nor_numbers(width):
    from rich.console import Console

    columns = [
        Column("kernel init, normalization", WORDS),
        *(Column(f"interval number {i}", NUMBERS, numeric=True) for i in range(3)),
        Column("empty", ["", "", ""]),
    ]
    terminal = Console(width=width)
    with terminal.capture() as captured:
        terminal.print(table(columns, width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "empty" not in captured.get()
    if width > 20:  # narrower than the longest head and word together, which fold
        words = captured.get().split()
        expected = " ".join([*WORDS, *NUMBERS * 3]).split()
        assert {word: words.count(word) for word in expected} == {
            word: expected.count(word) for word in expected
        }


def test_the_data_sets_as_json(capsys):
    assert main(["data", "list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert "digits" in {entry["name"] for entry in entries}
