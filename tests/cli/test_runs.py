"""`jcnn runs`: list, show, export; metrics and baselines of finished studies."""

import json

import pytest

from jcnn.cli import main
from jcnn.errors import UsageError
from jcnn.study.storage.load import read_result


def test_the_commands(finished_study, tmp_path, capsys):
    assert main(["runs", "list", str(finished_study.parent)]) == 0
    assert "digits" in capsys.readouterr().out
    assert main(["runs", "show", str(finished_study)]) == 0
    assert "95% interval" in capsys.readouterr().out
    assert main(["runs", "show", str(finished_study), "--metric", "area", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "area"
    assert main(["runs", "export", str(finished_study), str(tmp_path / "r.csv")]) == 0
    assert "12 runs" in capsys.readouterr().out
    assert main(["runs", "show", str(tmp_path)]) == 2
    assert "contains no study" in capsys.readouterr().err


def test_a_run_that_never_gets_there_is_counted(finished_study, capsys):
    result = read_result(finished_study).by("steps:1")
    assert sum(row.missed for row in result.ranking()) > 0
    assert main(["runs", "show", str(finished_study), "--metric", "steps:1"]) == 0
    assert "runs that did not reach the value" in " ".join(capsys.readouterr().out.split())
    assert all(row.missed == 0 for row in result.by("steps:0.01").ranking())
    for beyond in ("steps:1.1", "steps:90", "seconds:0"):
        with pytest.raises(UsageError, match="expected a share from 0 to 1"):
            result.by(beyond)


def test_a_baseline_may_be_shown_again(finished_study, capsys):
    assert main(["runs", "show", str(finished_study), "--baseline", "activation=relu"]) == 0
    assert "differs from the baseline" in " ".join(capsys.readouterr().out.split())
    assert main(["runs", "show", str(finished_study), "--baseline", "activation=rely"]) == 2
    with pytest.raises(SystemExit):
        main(["runs", "show", str(finished_study), "--metrik", "area"])
    assert "did you mean --metric" in capsys.readouterr().err
