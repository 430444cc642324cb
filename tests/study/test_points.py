"""Studies of chosen points: rates of their own, the same runs as a grid's, batches, files."""

import json

import pytest

from jcnn import engine, report
from jcnn.cli.main import main
from jcnn.cli.points_file import read_points
from jcnn.errors import UsageError
from jcnn.study import Study
from jcnn.study.storage.load import read_result
from jcnn.study.toml import read_study
from tests.small import blobs, study

DATA = {"data": blobs(80, features=4, distance=1), "model": "mlp", "epochs": 1, "batch_size": 16}
POINTS = [
    {"activation": "tanh", "hidden": (4,), "learning_rate": 0.1},
    {"activation": "relu", "hidden": (8,), "learning_rate": 0.03},
    {"activation": "relu", "hidden": (4,), "learning_rate": 0.1},
]


def test_each_point_is_trained_at_its_rate():
    result = Study(points=POINTS, seeds=2, **DATA).run()
    assert [(r.combination, r.learning_rate, r.seed) for r in result.records] == [
        (0, 0.1, 0), (0, 0.1, 1), (1, 0.03, 0), (1, 0.03, 1), (2, 0.1, 0), (2, 0.1, 1),
    ]  # fmt: skip
    assert [row.levels["learning_rate"] for row in result.by_point()] == ["0.1", "0.03", "0.1"]
    assert result.by_point()[1].mean == next(
        row.mean for row in result.ranking() if row.levels["hidden"] == "8"
    )


def test_points_without_a_rate_are_raced_over_all_rates():
    points = [{"activation": "tanh", "hidden": (4,)}, {"activation": "relu", "hidden": (8,)}]
    one = Study(points=points, learning_rates=[0.3, 0.1, 0.03], seeds=5, **DATA)
    assert one.runs == 30
    result = one.run()
    assert {len(row.by_rate) for row in result.ranking()} == {3}
    assert len(result.records) < 30


def test_the_runs_of_a_grid_are_not_trained_again(tmp_path):
    study(seeds=2, full_grid=True).run(tmp_path)
    points = [
        {"activation": "relu", "hidden": (4,), "learning_rate": 0.1},
        {"activation": "gelu", "hidden": (4,), "learning_rate": 0.1},
    ]
    result = Study(points=points, seeds=2, **DATA).run(tmp_path)
    assert result.environment["runs_loaded"] == 2
    assert result.environment["runs_trained"] == 2


def test_batches_of_points_share_their_programs():
    first = [{"activation": "tanh", "hidden": (4,), "learning_rate": 0.01 * k} for k in range(1, 8)]
    second = [{"activation": "tanh", "hidden": (4,), "learning_rate": 0.1 * k} for k in range(1, 4)]
    Study(points=first, seeds=1, **DATA).run()
    before = engine.compilations()
    Study(points=second, seeds=1, **DATA).run()
    since = engine.compilations().since(before)
    assert since.compiled + since.loaded == 0


def test_a_table_of_a_spreadsheet_is_read(tmp_path):
    """With the byte-order mark and the line ends that spreadsheets write."""
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbfactivation,depth,learning_rate\r\nrelu,4,0.1\r\ntanh,2,0.03\r\n")
    assert read_points(str(path)) == [
        {"activation": "relu", "depth": 4, "learning_rate": 0.1},
        {"activation": "tanh", "depth": 2, "learning_rate": 0.03},
    ]


def test_a_report_of_points_shows_layers_and_says_what_effects_are(capsys):
    points = [
        {"activation": act, "hidden": size, "momentum": momentum}
        for act in ("tanh", "relu")
        for size in ((4,), (8,))
        for momentum in (0.0, 0.5, 0.9)
    ][:11]
    settings = DATA | {"learning_rates": [0.1], "seeds": 5, "diagnose": 2, "max_runs": 100}
    result = Study(points=points, **settings).run()
    assert result.answer.sampled
    page = report.render(result)
    assert "effects are those of an additive model of these points" in " ".join(page.split())
    assert "Why they rank in this order" in page
    for sentence in result.effects():
        assert "too little was trained" not in sentence


def test_the_answer_says_what_was_not_tried():
    points = [
        {"activation": act, "hidden": (size,), "momentum": momentum}
        for act, size, momentum in [("tanh", 4, 0.0), ("relu", 8, 0.0), ("relu", 4, 0.9)]
    ]
    result = Study(points=points, learning_rates=[0.1], seeds=1, **DATA).run()
    assert any("3 of 8 combinations are in this study" in line for line in result.answer.remarks)
    assert "too little was trained to compare its levels" in result.effects()[0]
    whole = study().run()
    assert not any("combinations are in this study" in line for line in whole.answer.remarks)


def test_files_of_points_give_the_same_study(tmp_path, capsys):
    one = Study(points=POINTS, seeds=2, **DATA | {"data": "digits"})
    one.run(tmp_path / "out")
    keywords = read_study(tmp_path / "out" / "study.toml")
    again = Study(**keywords)
    assert [c.names() for c in again.combinations] == [c.names() for c in one.combinations]
    assert again.run(tmp_path / "out").environment["runs_trained"] == 0
    assert read_result(tmp_path / "out").combinations == [c.names() for c in one.combinations]
    csv, table = tmp_path / "points.csv", tmp_path / "points.json"
    table.write_text(json.dumps([{"activation": "tanh", "hidden": [4], "learning_rate": 0.1}]))
    csv.write_text('activation,hidden,learning_rate\ntanh,"4,",0.1\nrelu,"8,",0.03\n')
    for path in (csv, table):
        words = ["compare", "--model", "mlp", "--points", str(path), "--dry-run", "--json"]
        assert main([*words, "--epochs", "1", "--out", str(tmp_path / "x")]) == 0
        plan = json.loads(capsys.readouterr().out)
        assert plan["combinations"] == (2 if path is csv else 1)
    words = ["compare", "--sample", "6", "--dry-run", "--json", "--out", str(tmp_path / "x")]
    assert main([*words, "--epochs", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["combinations"] == 6


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "expected mappings of the same factors to a value each"),
        ({"activation": ["relu"]}, "expected mappings of the same factors"),
        ([{"activation": "relu"}, {"depth": 2}], "points: number 1 has depth; expected mappings"),
        ([{"activation": "relu"}] * 2, "points: number 1 is the same as number 0"),
        ([{"activation": "rule"}], "did you mean relu"),
        ([{"learning_rate": -1.0}], "expected distinct positive numbers|positive numbers"),
    ],
)
def test_points_that_make_no_sense_are_refused(points, message):
    with pytest.raises(UsageError, match=message):
        Study(points=points)


def test_factors_and_points_are_not_both_given(tmp_path, capsys):
    with pytest.raises(UsageError, match="give factors or points, not both"):
        study(points=POINTS)
    path = tmp_path / "points.csv"
    path.write_text("activation\nrelu\n")
    assert main(["compare", "--points", str(path), "--activation", "tanh"]) == 2
    assert "give --points or factors, not both" in capsys.readouterr().err
    path.write_text("activation,depth\nrelu\n")
    assert main(["compare", "--points", str(path)]) == 2
    assert "another number of columns" in capsys.readouterr().err
    assert main(["compare", "--points", str(tmp_path / "none.json")]) == 2
    assert "cannot read the points" in capsys.readouterr().err
