"""Results read back from a directory, and damaged directories."""

import contextlib
import shutil

import pytest

from jcnn.cli import main
from jcnn.names import UsageError
from jcnn.study import Study
from jcnn.study.storage.load import read_result, summary
from tests.small import STUDY_OF_DIGITS


def test_a_result_is_read_back_as_it_was(finished_study):
    result, again = read_result(finished_study), Study(**STUDY_OF_DIGITS).run(finished_study)
    assert result.to_json(provenance=False) == again.to_json(provenance=False)
    assert result.verdict() == again.verdict()
    assert [r.outcome.seconds for r in result.records] == [r.outcome.seconds for r in again.records]
    assert result.by("seconds:0.5").to_json(provenance=False) == again.by("seconds:0.5").to_json(
        provenance=False
    )
    found = summary(finished_study)
    assert (found["runs"], found["state"]) == (12, "finished")
    assert found["best"] == dict(result.ranking()[0].levels)


def test_without_its_environment_a_result_can_be_read(finished_study, tmp_path, capsys):
    shutil.copytree(finished_study, tmp_path / "x")
    for damage in (b"", b"[]", b'{"notes": 1}', b'{"run_seconds": ["a"]}'):
        (tmp_path / "x" / "environment.json").write_bytes(damage)
        assert main(["runs", "show", str(tmp_path / "x")]) == 0, damage
        assert "environment.json cannot be read" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "x" / "environment.json").unlink()
    assert read_result(tmp_path / "x").verdict() == read_result(finished_study).verdict()


def test_a_damaged_study_is_listed_as_such(finished_study, tmp_path, capsys):
    shutil.copytree(finished_study, tmp_path / "x")
    (tmp_path / "x" / "results.json").write_text("{")
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert "damaged" in capsys.readouterr().out
    (tmp_path / "x" / "results.json").unlink()
    assert summary(tmp_path / "x") | {"study": 0, "directory": 0} == {
        "study": 0, "directory": 0, "runs": 12, "state": "not finished",
    }  # fmt: skip
    assert main(["runs", "list", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize("name", ["results.json", "environment.json"])
def test_damaged_results_are_a_clear_error_and_come_back(finished_study, tmp_path, name):
    shutil.copytree(finished_study, tmp_path / "x")
    path = tmp_path / "x" / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 60, 1)):
        for content in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(content)
            with contextlib.suppress(UsageError):
                read_result(tmp_path / "x").ranking()
    Study(**STUDY_OF_DIGITS).run(tmp_path / "x")
    if name == "results.json":
        assert path.read_bytes() == whole
    assert read_result(tmp_path / "x").ranking()
