"""The network of the best combination: trained once more, kept, and loaded again."""

import json
from pathlib import Path

import numpy as np
import pytest

from jcnn import data, engine, export
from jcnn.cli.main import main
from jcnn.errors import UsageError
from jcnn.study import Study, best_model
from jcnn.study.best_model import best_seed
from jcnn.study.storage.load import read_result
from tests.small import SMALL

RACE = SMALL | {
    "factors": {"activation": ["tanh", "relu"]},
    "seeds": 3,
    "learning_rates": [0.1, 0.03],
}


def accuracy(trained):
    digits = data.load("digits")
    return (trained(digits.test_inputs).argmax(axis=1) == digits.test_targets).mean()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("studies") / "race"
    study = Study(**RACE)
    return study, study.run(directory), directory


def test_it_is_the_run_of_the_study(finished):
    study, result, _ = finished
    row = result.ranking()[0]
    trained = best_model(study, result)
    (record,) = (run for run in result.chosen(row) if run.seed == trained.seed)
    assert trained.levels == row.levels
    assert trained.test == record.outcome.test
    assert accuracy(trained) == pytest.approx(record.outcome.test["accuracy"], abs=1e-6)
    assert trained.classes == tuple("0123456789")


def test_the_seed_is_chosen_by_validation(finished):
    _, result, _ = finished
    row = result.ranking()[0]
    validation = {
        run.seed: run.outcome.curves["validation_accuracy"][-1] for run in result.chosen(row)
    }
    assert validation[best_seed(result, row)] == max(validation.values())
    assert best_seed(result.by("loss"), result.by("loss").ranking()[0]) in validation


def test_weights_are_kept_and_loaded(finished, monkeypatch):
    _, result, directory = finished
    first = result.best_model()
    assert (directory / "best_model.npz").exists()
    monkeypatch.setattr(engine.Training, "run", lambda self: pytest.fail("trained again"))
    images = data.load("digits").test_inputs[:5]
    for again in (result.best_model(), read_result(directory).best_model()):
        np.testing.assert_array_equal(again(images), first(images))
        assert again.test == first.test


def test_weights_of_another_run_are_not_used(finished):
    _, result, _ = finished
    seeds = sorted(run.seed for run in result.chosen(result.ranking()[0]))
    networks = [result.best_model(seed=seed) for seed in seeds[:2]]
    assert [network.seed for network in networks] == seeds[:2]
    images = data.load("digits").test_inputs[:5]
    assert (networks[0](images) != networks[1](images)).any()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY"])
def test_damaged_weights_are_trained_again(finished, content):
    _, result, directory = finished
    expected = result.best_model().test
    (directory / "best_model.npz").write_bytes(content)
    assert result.best_model().test == expected


def test_with_the_validation_examples(finished):
    study, result, directory = finished
    alone, both = result.best_model(), result.best_model(with_validation=True)
    assert (directory / "best_model_with_validation.npz").exists()
    prepared = study.prepare(with_validation=True)
    assert len(prepared.data.inputs) == len(prepared.dataset.train_inputs)
    assert int(prepared.data.validation_batches) == 0
    images = data.load("digits").test_inputs[:5]
    assert (alone(images) != both(images)).any()
    assert accuracy(both) == pytest.approx(both.test["accuracy"], abs=1e-6)


def test_of_one_combination_in_memory():
    study = Study(**SMALL | {"factors": {"activation": ["tanh"]}, "seeds": 2})
    result = study.run()
    trained = result.best_model()
    assert accuracy(trained) == pytest.approx(trained.test["accuracy"], abs=1e-6)


def test_a_study_that_was_interrupted_after_another(finished, tmp_path):
    import shutil

    copied = tmp_path / "x"
    shutil.copytree(finished[2], copied)
    other = Study(**SMALL | {"factors": {"activation": ["gelu", "elu"]}})
    text = (copied / "study.toml").read_text()
    from jcnn.study.storage.directory import StudyDirectory

    StudyDirectory(copied).write_study(other.describe())
    assert (copied / "study.toml").read_text() != text
    with pytest.raises(UsageError, match="is of another study than the one that finished here"):
        read_result(copied).best_model()
    with pytest.raises(UsageError, match="the result is not of this study, which has no activ"):
        best_model(other, finished[1])


def test_code_or_data_that_changed(finished, monkeypatch):
    from jcnn.study.storage import run_key

    monkeypatch.setattr(run_key, "of_numerics", lambda: {"jcnn": "another version"})
    with pytest.raises(UsageError, match="code, data or versions have changed since"):
        read_result(finished[2]).best_model()


def test_layers_that_were_measured_make_no_difference(tmp_path, monkeypatch):
    study = Study(**SMALL | {"factors": {"activation": ["tanh"]}, "seeds": 1, "diagnose": 4})
    result = study.run(tmp_path / "x")
    network = result.best_model()
    (record,) = result.chosen(result.ranking()[0])
    assert network.test == pytest.approx(record.outcome.test, rel=1e-3)
    monkeypatch.setattr(engine.Training, "run", lambda self: pytest.fail("trained again"))
    assert read_result(tmp_path / "x").best_model().test == network.test


def test_a_directory_that_cannot_be_written(finished, monkeypatch):
    _, result, directory = finished
    (directory / "best_model.npz").unlink(missing_ok=True)

    def fail(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("jcnn.study.storage.weights.write_atomic_bytes", fail)
    assert result.best_model().test
    assert not (directory / "best_model.npz").exists()


def test_other_seeds_do_not_replace_the_best(finished):
    _, result, directory = finished
    result.best_model()
    kept = (directory / "best_model.npz").read_bytes()
    for run in result.chosen(result.ranking()[0]):
        result.best_model(seed=run.seed)
    assert (directory / "best_model.npz").read_bytes() == kept


def test_a_result_without_its_study(finished):
    from dataclasses import replace

    _, result, _ = finished
    with pytest.raises(UsageError, match="does not know its study"):
        replace(result, trainer=None).best_model()


def test_the_command_knows_the_formats():
    from jcnn.cli.commands import export as command

    assert command.FORMATS == export.FORMATS


def test_the_command(finished, tmp_path, capsys):
    _, _, directory = finished
    assert main(["export", str(directory), "--to", str(tmp_path / "net.safetensors")]) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert main(["export", str(directory), "--to", "onnx", "--batch", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == str(directory / "model.onnx")
    assert Path(told["file"]).exists()
    assert told["classes"] == list("0123456789")
    assert main(["export", str(directory), "--to", "net.pt"]) == 2
    assert main(["export", str(tmp_path), "--to", "onnx"]) == 2
    assert main(["export", str(directory), "--to", "onnx", "--seed", "99"]) == 2


def test_objects_that_a_file_cannot_restore(tmp_path):
    arrays = data.load("digits")
    study = Study(**SMALL | {"data": (arrays.train_inputs, arrays.train_targets), "seeds": 1})
    result = study.run(tmp_path / "own")
    result.best_model()
    with pytest.raises(UsageError, match=r"cannot store the Python objects of its study \(data\)"):
        read_result(tmp_path / "own").best_model()
