"""What a study leaves in its directory."""

import json
import shutil

import pytest

from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.storage.load import read_result
from jcnn.study.toml import read_study
from tests.small import SMALL, STUDY_OF_DIGITS


def test_output_directory(tmp_path):
    out = tmp_path / "runs" / "one"
    events = []
    factors = {"activation": ["tanh"], "kernel_init": ["orthogonal"], "hidden": [(16,)]}
    study = Study(model="mlp", factors=factors, **SMALL)
    study.run(out, on_progress=events.append)
    assert events[-1].runs_done == events[-1].runs == 4
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith(".")) == [
        "environment.json",
        "ledger.sqlite",
        "results.json",
        "study.toml",
    ]
    again = Study(**read_study(out / "study.toml"))
    assert again.describe() == study.describe()
    stored = json.loads((out / "results.json").read_text())
    assert len(stored["runs"]) == 4
    assert "jax" in json.loads((out / "environment.json").read_text())
    events.clear()
    kept = (out / "results.json").read_bytes()
    assert study.run(out, on_progress=events.append).environment["runs_loaded"] == 4
    assert not events
    assert (out / "results.json").read_bytes() == kept
    (out / "ledger.sqlite").unlink()
    with pytest.raises(UsageError, match="contains results but no ledger"):
        study.run(out)


def test_looking_again_leaves_what_the_runs_were_made_by(finished_study, tmp_path):
    shutil.copytree(finished_study, tmp_path / "x")
    before = json.loads((tmp_path / "x" / "environment.json").read_text())
    assert before["runs_trained"] == 12
    fewer = STUDY_OF_DIGITS | {"factors": STUDY_OF_DIGITS["factors"] | {"activation": ["relu"]}}
    Study(**fewer).run(tmp_path / "x", metric="area")
    after = json.loads((tmp_path / "x" / "environment.json").read_text())
    assert len(after.pop("run_seconds")) == 6 < len(before.pop("run_seconds"))
    assert after == before
    result = read_result(tmp_path / "x")
    assert min(record.outcome.seconds for record in result.records) > 0
