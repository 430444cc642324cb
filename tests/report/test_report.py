"""The page: it stands alone, escapes what users name, stays small, and says what was found."""

import re
import sys

import numpy as np
import pytest

from jcnn import report
from jcnn.cli.main import main
from jcnn.study import Study, inspect_model, train_one
from tests.slow import short_first
from tests.small import NARROW


def without_data(page):
    return re.sub(r"data:image/png;base64,[A-Za-z0-9+/=\s]*", "", page)


def test_it_says_what_was_found(result, inspection):
    page = report.render(result, inspection)
    for words in (
        result.verdict()[:40].replace("not enough", "Not enough"),
        "Which activation and normalization for lenet on digits?",
        "Every combination",
        "The effect of each choice",
        "Sensitivity to the learning rate",
        "Learning curves",
        "Why they rank in this order",
        "The mistakes of the best network",
        "Four poolings",
        "Measured and predicted",
        "Provenance",
    ):
        assert words in page
    for row in result.ranking():
        assert f"{100 * row.mean:.2f}%" in page


def test_it_stands_alone(result, inspection):
    page = without_data(report.render(result, inspection))
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    # Names of XML vocabularies, which nothing fetches.
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"<(?:link|script)[^>]*(?:href|src)=\"(?!data:)", page)
    ids = re.findall(r"\bid=\"([^\"]+)\"", page)
    assert len(ids) == len(set(ids))


def test_names_from_users_are_text(made):
    name = "<script>document.title='taken'</script>"
    page = report.render(
        made(
            {name: [name, "b"], "pooling": ['"><img src=x onerror=alert(1)>', "avg"]},
            failures={0: name},
            notes=[name],
            environment={"command": f"jcnn compare --data '{name}'", "device": name},
        )
    )
    assert page.count("<script>") == 1  # the page's own
    assert "<img" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("seeds", short_first([1, 10]))
def test_a_large_study_stays_small(seeds, made):
    factors = {f"factor{i}": [f"level{j}" for j in range(10)] for i in range(2)}
    found = made(factors, seeds=seeds, gain=0.003)
    assert len(found.records) == 200 * seeds
    page = report.render(found)
    assert len(page.encode()) < 5_000_000
    assert page.count("<tr>") == 1 + 100
    assert page.count("learning curve of") == 24


def test_a_study_of_nothing_that_worked(made):
    found = made({"width": ["8"]}, failures={0: "it does not fit"})
    page = report.render(found)
    assert "No combination could be trained to the end." in page
    assert "it does not fit" in page


def test_one_combination_has_an_answer_too(made):
    page = report.render(made({"width": ["8"]}, rates=(0.1,)))
    assert "8: test accuracy" in page


def test_figures_as_files(made, tmp_path):
    found = made({"width": ["8", "16"]})
    for kind in ("svg", "png"):
        files = report.write_figures(found, tmp_path / kind, kind=kind)
        assert {file.name for file in files} >= {f"ranking.{kind}", f"effects.{kind}"}
        assert all(file.stat().st_size > 500 for file in files)


def test_notebooks(made):
    found = made({"width": ["<b>", "16"]})
    shown = found._repr_html_()
    assert "<table>" in shown
    assert "&lt;b&gt;" in shown
    assert report.plot_ranking(found).axes


def test_the_portrait_is_of_the_studys_own_run(study, result, inspection):
    one = inspection
    row = result.ranking()[0]
    assert one.row.levels == row.levels
    (record,) = [r for r in result.chosen(row) if r.seed == one.seed]
    accuracy = np.mean(one.predicted == one.dataset.test_targets)
    assert accuracy == pytest.approx(record.outcome.test["accuracy"], abs=2 / 360)
    counts = np.zeros((10, 10), int)
    for is_, taken in zip(one.dataset.test_targets, one.predicted, strict=True):
        counts[is_, taken] += 1
    np.testing.assert_array_equal(one.confusion(), counts)
    confused = one.most_confused()
    assert all(one.predicted[i] != one.dataset.test_targets[i] for i in confused)
    sure = one.probabilities()[confused].max(axis=-1)
    assert (np.diff(sure) <= 0).all()
    assert len(one.samples) == study.epochs + 1


def test_a_binary_task(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    x = (rng.normal(size=(120, 8, 8, 1)) + 2 * labels[:, None, None, None]).astype(np.float32)
    study = Study(data=(x, labels), model="mlp", factors=NARROW, learning_rates=[0.1], seeds=1,
                  epochs=4, batch_size=16, task="binary")  # fmt: skip
    result = study.run()
    one = inspect_model(study, result)
    accuracy = np.mean(one.predicted == one.dataset.test_targets)
    assert accuracy == pytest.approx(result.ranking()[0].mean, abs=1e-6)
    np.testing.assert_allclose(one.probabilities().sum(axis=1), 1, rtol=1e-6)


def test_training_one_run_of_another_seed_is_refused(study):
    with pytest.raises(ValueError, match="seed 70 is not one of the study's seeds"):
        train_one(study, 0, 0.1, seed=70)


def compare(*arguments):
    return main(["compare", "--factor", "features", "4,", "--activation", "tanh",
                 "--kernel-init", "he_normal", "--normalization", "none", "--learning-rate", "0.1",
                 "--seeds", "2", "--epochs", "1", *arguments])  # fmt: skip


def test_the_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["jcnn", "compare"])
    out = tmp_path / "study"
    assert compare("--out", str(out), "--no-report") == 0
    assert not (out / "report.html").exists()
    assert compare("--out", str(out)) == 0
    page = (out / "report.html").read_text()
    assert "Four poolings" in page
    before = (out / "report.html").stat().st_mtime_ns
    assert compare("--out", str(out)) == 0  # nothing changed, so nothing is drawn again
    assert (out / "report.html").stat().st_mtime_ns == before
    capsys.readouterr()
    figures = tmp_path / "figures"
    written = tmp_path / "own.html"
    assert main(["report", str(out), "--out", str(written), "--figures", str(figures)]) == 0
    assert (figures / "poolings.svg").exists()
    assert str(written) in capsys.readouterr().out
    assert main(["report", str(out), "--no-pictures", "--metric", "loss", "--json"]) == 0
    assert "Four poolings" not in (out / "report.html").read_text()
    assert "test loss" in (out / "report.html").read_text()
    capsys.readouterr()
    assert main(["report", str(tmp_path)]) == 2
    assert "contains no study" in capsys.readouterr().err
    assert main(["report", str(out), "--out", str(tmp_path / "no" / "x.html")]) == 2
    assert "is not a directory" in capsys.readouterr().err


def test_what_keeps_the_network_from_being_pictured_is_said(tmp_path, capsys, monkeypatch):
    def broken(study, result, directory):
        raise RuntimeError("no room\nfor it")

    out = tmp_path / "study"
    with monkeypatch.context() as patched:
        patched.setattr("jcnn.study.inspect_model", broken)
        assert compare("--out", str(out)) == 0
        assert (
            "the report has no pictures of the network: no room for it" in capsys.readouterr().err
        )
    assert "Four poolings" not in (out / "report.html").read_text()
    assert compare("--out", str(out)) == 0  # so it is drawn again
    assert "Four poolings" in (out / "report.html").read_text()


def test_a_study_of_python_objects_has_a_report_without_pictures(tmp_path, capsys):
    Study(
        model="mlp",
        factors={"activation": {"mine": lambda x: x * 0.5}},
        learning_rates=[0.1],
        seeds=1,
        epochs=1,
    ).run(tmp_path)
    assert main(["report", str(tmp_path)]) == 0
    assert "no pictures of the network" in capsys.readouterr().err
    page = (tmp_path / "report.html").read_text()
    assert "mine: test accuracy" in page
    assert "Four poolings" not in page
