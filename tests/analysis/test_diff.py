"""What differs between two studies."""

import numpy as np
import pytest

from jcnn.analysis.diff import difference
from jcnn.cli import main
from jcnn.study import Study
from jcnn.study.storage.load import read_result
from tests.analysis.planted import planted
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
    assert moved.interval.low > 0
    assert not moved.real  # on three seeds
    assert main(["runs", "diff", str(finished_study), str(tmp_path / "y")]) == 0
    printed = capsys.readouterr().out
    assert "setting epochs: 2 -> 15" in printed
    assert "1 of 1 shared combination cannot be judged: that takes 5 seeds" in printed


def test_what_moved_is_told_from_noise(monkeypatch, capsys):
    steady = np.array([0.90, 0.91, 0.90, 0.92, 0.91])
    first = planted({"a": steady, "b": steady, "gone": steady})
    second = planted({"a": steady + 0.05, "b": steady[::-1], "new": steady})
    found = difference(first, second)
    assert [shift.real for shift in found.moved] == [True, False]
    assert found.moved[0].second - found.moved[0].first == pytest.approx(0.05)
    assert found.moved[0].interval.low > 0.03
    assert found.moved[0].p < 0.01
    results = iter([first, second])
    monkeypatch.setattr("jcnn.study.storage.load.read_result", lambda path: next(results))
    assert main(["runs", "diff", "one", "two"]) == 0
    printed = capsys.readouterr().out
    assert "moved: kind=a: 90.80% -> 95.80% (5.0 points [" in printed
    assert "1 of 2 shared combinations did not move beyond noise" in printed
    assert "cannot be judged" not in printed
