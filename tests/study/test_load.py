"""Results read back, compared and exported; hostile study files and directories."""

import contextlib
import csv
import json
import shutil
import string

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jcnn
from jcnn.analysis.diff import difference
from jcnn.cli import main
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.storage.export import export
from jcnn.study.storage.load import read_result, summary
from jcnn.study.toml import KEYS, read_study

STUDY = {
    "model": "mlp",
    "factors": {"activation": ["tanh", "relu"], "hidden": [(16,)]},
    "learning_rates": [0.1, 30.0],
    "seeds": 3,
    "epochs": 2,
    "batch_size": 128,
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("read") / "x"
    Study(**STUDY).run(directory)
    return directory


def test_a_result_is_read_back_as_it_was(directory):
    result, again = read_result(directory), Study(**STUDY).run(directory)
    assert result.to_json(provenance=False) == again.to_json(provenance=False)
    assert result.verdict() == again.verdict()
    assert [r.outcome.seconds for r in result.records] == [r.outcome.seconds for r in again.records]
    assert result.by("seconds:0.5").to_json(provenance=False) == again.by("seconds:0.5").to_json(
        provenance=False
    )
    found = summary(directory)
    assert (found["runs"], found["state"]) == (12, "finished")
    assert found["best"] == dict(result.ranking()[0].levels)


def test_other_measures_of_the_same_runs(directory):
    result = read_result(directory)
    rows = {form: result.by(form).ranking() for form in ("loss", "area", "steps:0.5", "diverged")}
    for form, better in (("loss", 1), ("area", -1), ("steps:0.5", 1), ("diverged", 1)):
        means = [better * row.mean for row in rows[form]]
        assert means == sorted(means), form
    (row, *_) = rows["steps:0.5"]
    curves = [
        r.outcome.curves["validation_accuracy"]
        for r in result.records
        if (r.combination, r.learning_rate) == (row.combination, row.learning_rate)
    ]
    first = [next((i for i, v in enumerate(c, 1) if v >= 0.5), len(c)) for c in curves]
    assert row.values == [8 * epochs for epochs in first]  # 1,150 examples in batches of 128
    (area, *_) = rows["area"]
    assert 0 < area.mean < result.ranking()[0].mean
    by = {row.combination: row for row in rows["diverged"]}
    for index in range(2):
        share = np.mean([r.outcome.diverged_at is not None for r in result.records
                         if r.combination == index])  # fmt: skip
        assert by[index].mean == pytest.approx(share)
    with pytest.raises(UsageError, match="did you mean steps:TARGET"):
        result.by("step:0.9")
    with pytest.raises(UsageError, match="expected a number after the colon"):
        result.by("steps:many")


def test_rates_that_work_and_the_noise_floor(directory):
    result = read_result(directory)
    row = result.ranking()[0]
    assert row.by_rate.keys() == {0.1, 30.0}
    assert row.working == [0.1]
    n, p = result.test_examples, row.mean
    assert result.noise_floor(row) == pytest.approx(np.sqrt(p * (1 - p) / n))
    drawn = np.random.default_rng(0).binomial(n, p, 20_000) / n
    assert result.noise_floor(row) == pytest.approx(np.std(drawn), rel=0.03)
    assert np.isnan(result.by("loss").noise_floor(row))


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_every_run_is_exported(directory, tmp_path, ending):
    result = read_result(directory)
    path = tmp_path / f"runs.{ending}"
    assert export(result, path) == 12
    if ending == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
    elif ending == "json":
        rows = json.loads(path.read_text())
    else:
        from pyarrow import parquet

        rows = parquet.read_table(path).to_pylist()
    assert len(rows) == 12
    first, record = rows[0], result.records[0]
    assert first["activation"] == "tanh"
    assert float(first["test_accuracy"]) == record.outcome.test["accuracy"]
    curve = record.outcome.curves["validation_loss"]
    if ending == "csv":
        assert float(first["validation_loss"]) == curve[-1]
    else:
        assert first["validation_loss"] == curve


def test_exports_say_what_they_can_be(directory, tmp_path, monkeypatch):
    result = read_result(directory)
    with pytest.raises(UsageError, match=r"ends in \.csv"):
        export(result, tmp_path / "runs.xlsx")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'jcnn\[parquet\]'"):
        export(result, tmp_path / "runs.parquet")


def test_what_differs_between_two_studies(directory, tmp_path, capsys):
    changed = STUDY | {"epochs": 15, "factors": {"activation": ["tanh", "gelu"], "hidden": [(16,)]}}
    Study(**changed).run(tmp_path / "y")
    same = difference(read_result(directory), read_result(directory))
    assert not any((same.settings, same.versions, same.only_first, same.only_second))
    assert not any(one.real for one in same.moved)
    found = difference(read_result(directory), read_result(tmp_path / "y"))
    assert found.settings["epochs"] == (2, 15)
    assert set(found.settings) == {"epochs", "factors.activation"}
    assert [levels["activation"] for levels in found.only_second] == ["gelu"]
    (moved,) = found.moved
    assert moved.levels["activation"] == "tanh"
    assert moved.real
    assert main(["runs", "diff", str(directory), str(tmp_path / "y")]) == 0
    printed = capsys.readouterr().out
    assert "setting epochs: 2 -> 15" in printed
    assert "moved: activation=tanh, hidden=16" in printed


def test_the_commands(directory, tmp_path, capsys):
    assert main(["runs", "list", str(directory.parent)]) == 0
    assert "digits" in capsys.readouterr().out
    assert main(["runs", "show", str(directory)]) == 0
    assert "95% interval" in capsys.readouterr().out
    assert main(["runs", "show", str(directory), "--metric", "area", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "area"
    assert main(["runs", "export", str(directory), str(tmp_path / "r.csv")]) == 0
    assert "12 runs" in capsys.readouterr().out
    assert main(["runs", "show", str(tmp_path)]) == 2
    assert "holds no study" in capsys.readouterr().err


def test_looking_again_leaves_what_the_runs_were_made_by(directory, tmp_path):
    shutil.copytree(directory, tmp_path / "x")
    before = json.loads((tmp_path / "x" / "environment.json").read_text())
    assert before["runs_trained"] == 12
    fewer = STUDY | {"factors": STUDY["factors"] | {"activation": ["relu"]}}
    Study(**fewer).run(tmp_path / "x", metric="area")
    after = json.loads((tmp_path / "x" / "environment.json").read_text())
    assert len(after.pop("run_seconds")) == 6 < len(before.pop("run_seconds"))
    assert after == before
    result = read_result(tmp_path / "x")
    assert min(record.outcome.seconds for record in result.records) > 0


def test_without_its_environment_a_result_can_be_read(directory, tmp_path, capsys):
    shutil.copytree(directory, tmp_path / "x")
    for damage in (b"", b"[]", b'{"notes": 1}', b'{"run_seconds": ["a"]}'):
        (tmp_path / "x" / "environment.json").write_bytes(damage)
        assert main(["runs", "show", str(tmp_path / "x")]) == 0, damage
        assert "environment.json cannot be read" in capsys.readouterr().out
    (tmp_path / "x" / "environment.json").unlink()
    assert read_result(tmp_path / "x").verdict() == read_result(directory).verdict()


def test_a_damaged_study_is_listed_as_such(directory, tmp_path, capsys):
    shutil.copytree(directory, tmp_path / "x")
    (tmp_path / "x" / "results.json").write_text("{")
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert "damaged" in capsys.readouterr().out
    (tmp_path / "x" / "results.json").unlink()
    assert summary(tmp_path / "x") | {"study": 0, "directory": 0} == {
        "study": 0, "directory": 0, "runs": 12, "state": "not finished",
    }  # fmt: skip
    assert main(["runs", "list", str(tmp_path / "nowhere")]) == 2


def test_a_run_that_never_gets_there_is_counted(directory, capsys):
    result = read_result(directory).by("steps:1")
    assert sum(row.missed for row in result.ranking()) > 0
    assert main(["runs", "show", str(directory), "--metric", "steps:1"]) == 0
    assert "runs that did not get there" in " ".join(capsys.readouterr().out.split())
    assert all(row.missed == 0 for row in result.by("steps:0.01").ranking())
    for beyond in ("steps:1.1", "steps:90", "seconds:0"):
        with pytest.raises(UsageError, match="expected an accuracy from 0 to 1"):
            result.by(beyond)


def test_a_baseline_may_be_shown_again(directory, capsys):
    assert main(["runs", "show", str(directory), "--baseline", "activation=relu"]) == 0
    assert "apart from the baseline" in capsys.readouterr().out
    assert main(["runs", "show", str(directory), "--baseline", "activation=rely"]) == 2
    with pytest.raises(SystemExit):
        main(["runs", "show", str(directory), "--metrik", "area"])
    assert "did you mean --metric" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.json", "environment.json"])
def test_damaged_results_are_a_clear_error_and_come_back(directory, tmp_path, name):
    shutil.copytree(directory, tmp_path / "x")
    path = tmp_path / "x" / name
    whole = path.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 60, 1)):
        for content in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(content)
            with contextlib.suppress(UsageError):
                read_result(tmp_path / "x").ranking()
    Study(**STUDY).run(tmp_path / "x")
    if name == "results.json":
        assert path.read_bytes() == whole
    assert read_result(tmp_path / "x").ranking()


WORDS = st.text(string.ascii_letters + string.digits + "_-:.,[]{}\"'=# \n", max_size=12)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.sampled_from(["relu", "8"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def spelled(value):
    """As TOML would have it, or nearly."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {spelled(v)}" for k, v in value.items()) + "}"
    return json.dumps(value) if isinstance(value, str) else str(value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(st.sampled_from(KEYS) | WORDS, VALUES, max_size=5))
def test_a_study_file_is_valid_or_a_usage_error(tmp_path, content):
    path = tmp_path / "study.toml"
    lines = [f"{key} = {spelled(value)}" for key, value in content.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(UsageError):
        Study(**read_study(path))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_study_file_are_valid_or_a_usage_error(tmp_path, content):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with contextlib.suppress(UsageError):
        Study(**read_study(path))


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


def test_a_dry_run_trains_nothing(tmp_path, capsys, directory):
    command = [
        "compare", "--model", "mlp", "--activation", "tanh", "--kernel-init", "he_normal",
        "--normalization", "none", "--set", "epochs=3", "--set", "learning_rates=[0.1]",
    ]  # fmt: skip
    assert main([*command, "--dry-run", "--json", "--out", str(tmp_path / "x")]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["runs"], plan["found"], plan["groups"]) == (5, 0, 1)
    assert plan["memory"] > 1e6
    assert not (tmp_path / "x").exists()
    assert main(["compare", str(directory), "--dry-run", "--out", str(directory)]) == 0
    assert "12 of them are in" in capsys.readouterr().out


@pytest.mark.slow
def test_rates_are_extended_until_the_best_is_inside(tmp_path):
    study = Study(**STUDY | {"learning_rates": [0.001], "extend_learning_rates": True})
    result = study.run(tmp_path)
    rows = result.ranking()
    assert not any(row.at_edge for row in rows)
    assert all(len(row.by_rate) > 2 for row in rows)
    assert rows[0].learning_rate > 0.001
    assert rows[0].mean > 0.7
    again = study.run(tmp_path)
    assert again.environment["runs_found"] == 6
    assert again.to_json(provenance=False) == result.to_json(provenance=False)
    assert jcnn.study.storage.ledger.Ledger(tmp_path).runs()
