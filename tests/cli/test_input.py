"""`--input`: a first look at a network without a data set."""

import json

import numpy as np
import pytest

from jcnn import data
from jcnn.cli import main


def test_noise_has_every_class_and_is_the_same_every_time():
    found = data.noise((4, 4, 3), classes=7, examples=50)
    assert found.train_inputs.shape == found.test_inputs.shape == (50, 4, 4, 3)
    assert set(found.train_targets.tolist()) == set(range(7))
    assert abs(float(found.train_inputs.mean())) < 0.05
    assert found.digest() == data.noise((4, 4, 3), classes=7, examples=50).digest()
    assert found.digest() != data.noise((4, 4, 3), classes=7, examples=50, seed=1).digest()
    assert not np.array_equal(found.train_inputs, found.test_inputs)


@pytest.mark.parametrize("command", ["diagnose", "summary", "find-lr"])
def test_commands_take_a_shape(command, capsys):
    words = [command, "mlp", "--input", "5", "--classes", "3", "--factor", "hidden", "4,"]
    words += ["--steps", "4"] if command == "find-lr" else []
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    if command != "find-lr":
        assert [layer["name"] for layer in found["layers"]] == ["dense_hidden1", "output"]
        assert found["layers"][-1]["shape"] == [3]
    main(words)
    noted = "on random inputs and labels" in capsys.readouterr().out
    assert noted == (command != "summary")


def test_large_inputs_get_a_smaller_batch(monkeypatch):
    from jcnn.study import first_combination

    seen = []
    monkeypatch.setattr(
        first_combination,
        "diagnose_first",
        lambda study, *, examples, **_: seen.append(
            (examples, len(study.data.train_inputs))
        ) or 1 / 0,
    )  # fmt: skip
    for words in (["8", "8", "1"], ["224", "224", "3"], ["224", "224", "3", "--examples", "5"]):
        with pytest.raises(ZeroDivisionError):
            main(["diagnose", "--input", *words])
    assert seen == [(256, 320), (27, 40), (5, 40)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "0"], "input shape (0,); expected positive sizes"),
        (["--input", "8", "8", "1", "--data", "digits"], "--input makes random data"),
        (["--classes", "3"], "--classes is the number of random labels; it needs --input"),
        (["--input", "8", "--classes", "1"], "expected at least 2 classes"),
        (["--input", "8", "8", "1", "--follow", "1"], "nothing can be learned from random data"),
        (["--input", "8", "8", "1", "--try-remedies"], "nothing can be learned from random data"),
    ],
)
def test_what_makes_no_sense_is_refused(words, message, capsys):
    assert main(["diagnose", *words]) == 2
    assert message in capsys.readouterr().err
