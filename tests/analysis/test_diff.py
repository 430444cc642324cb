"""What differs between two studies."""

from jcnn.analysis.diff import difference
from jcnn.cli import main
from jcnn.study import Study
from jcnn.study.storage.load import read_result
from tests.small import STUDY_OF_DIGITS


def test_what_differs_between_two_studies(finished_study, tmp_path, capsys):
    changed = STUDY_OF_DIGITS | {
        "epochs": 15,
        "factors": {"activation": ["tanh", "gelu"], "hidden": [(16,)]},
    }
    Study(**changed).run(tmp_path / "y")
    same = difference(read_result(finished_study), read_result(finished_study))
    assert not any((same.settings, same.versions, same.only_first, same.only_second))
    assert not any(one.real for one in same.moved)
    found = difference(read_result(finished_study), read_result(tmp_path / "y"))
    assert found.settings["epochs"] == (2, 15)
    assert set(found.settings) == {"epochs", "factors.activation"}
    assert [levels["activation"] for levels in found.only_second] == ["gelu"]
    (moved,) = found.moved
    assert moved.levels["activation"] == "tanh"
    assert moved.real
    assert main(["runs", "diff", str(finished_study), str(tmp_path / "y")]) == 0
    printed = capsys.readouterr().out
    assert "setting epochs: 2 -> 15" in printed
    assert "moved: activation=tanh, hidden=16" in printed
