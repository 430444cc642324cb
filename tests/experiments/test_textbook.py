"""Textbook claims: what each measures, a quick test of two, and the tables of results."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture
def book(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import check_textbook

    return check_textbook


def run(*arguments):
    return subprocess.run(
        [sys.executable, FOLDER / "check_textbook.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list(book):
    listed = run("--list").stdout
    assert len(book.CLAIMS) == 17
    assert all(name in listed for name in book.CLAIMS)


def conditions(result):
    """Whether each condition of a result, the text before its colon, is good."""
    return {c["figure"].partition(":")[0]: c["good"] for c in result["criteria"]}


@pytest.mark.slow
def test_a_quick_test_of_two(tmp_path):
    done = run("max-edges", "l2-intensity", "--smoke", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    edges, intensity = json.loads((tmp_path / "results.json").read_text())
    good = conditions(edges)
    # Max pooling widens thin bright strokes and erases thin dark ones.
    assert good["digits, bright on dark"]
    assert not good["digits, dark on bright"]
    assert all(criterion["null_fails"] for criterion in edges["criteria"])
    good = conditions(intensity)
    assert good["images"]
    assert not good["feature maps"]  # zero-mean maps, whose energy is independent of the mean


def random_result(measurements, study, name):
    """A random result of a study, without training."""
    from jcnn.engine import Outcome
    from jcnn.study import Result, RunRecord

    rng = np.random.default_rng(zlib.crc32(name.encode()))

    def outcome():
        accuracy = np.sort(rng.uniform(0.5, 1, study.epochs)).tolist()
        curves = {
            "validation_accuracy": accuracy,
            "validation_loss": [1 - value for value in accuracy],
        }
        test = {"accuracy": rng.uniform(0.5, 1), "loss": rng.uniform(0.1, 1)}
        return Outcome(curves, test, steps=17 * study.epochs)

    names = [combination.names() for combination in study.combinations]
    records = [
        RunRecord(i, rate, seed, outcome())
        for i in range(len(names))
        for rate in study.learning_rates
        for seed in study.seed_values
    ]
    return Result(study.describe(), "accuracy", True, names, records)


@pytest.fixture
def untrained(book, monkeypatch):
    """Replace everything slow by constants or random numbers: training, timing, diagnoses."""
    from harness import predictions, study_cache, timing
    from jcnn import data
    from textbook import cross_entropy, volumes
    from textbook.shared import vanishing_gradients

    diagnosis = SimpleNamespace(gradient_ratio=0.5, layers=[SimpleNamespace(update_ratio=0.1)])
    clips = data.load("moving-digits")
    solid = replace(
        clips,
        train_inputs=clips.train_inputs.repeat(2, axis=1),
        test_inputs=clips.test_inputs.repeat(2, axis=1),
    )
    for module, name, substitute in (
        (study_cache, "run", random_result),
        (
            predictions,
            "predict_classes",
            lambda study, row, inputs: np.zeros((2, len(inputs)), int),
        ),
        (timing, "time_call", lambda *_: None),
        (timing, "time_step", lambda *_: None),
        (
            timing,
            "relative_times",
            lambda arms, base, *_: {a: np.ones(2) for a in arms if a != base},
        ),
        (cross_entropy, "_gradients", lambda *_: {"linear": 1.0, "sigmoid": 2.0}),
        (vanishing_gradients, "_diagnoses", lambda configuration, *_, **__: [diagnosis] * 2),
        (volumes, "adrenal", lambda: solid),
    ):
        monkeypatch.setattr(module, name, substitute)


def measured(claim, **changes):
    """The figures that a claim measures, from two seeds."""
    from harness.measurements import Measurements

    measurements = Measurements()
    configuration = {**claim.configuration, **changes}
    small = {"seeds": 2, "examples": 100}
    cut = {name: value for name, value in small.items() if name in configuration}
    claim.measure(configuration | cut, measurements)
    return measurements.figures


@pytest.fixture
def digits_for_fashion_mnist(monkeypatch):
    """Substitute digits for Fashion-MNIST, which may not be installed."""
    from jcnn import data

    load = data.load
    monkeypatch.setattr(
        data, "load", lambda name: load("digits" if name == "fashion-mnist" else name)
    )


@pytest.mark.slow
def test_every_claim_measures_the_figures_of_its_criteria(
    book, untrained, digits_for_fashion_mnist
):
    for claim in book.CLAIMS.values():
        figures = measured(claim)
        for criterion in claim.criteria:
            assert len(figures[criterion.figure]) > 1, criterion.figure
            assert criterion.null is None or criterion.null in figures, criterion.null
        # Tables name a criterion by the text before its colon.
        names, quantities = zip(*(book.split(c.figure) for c in claim.criteria), strict=True)
        assert len(set(names)) == len(names), claim.name
        assert all(quantities)
        committed = json.loads((book.TEXTBOOK.results / f"{claim.name}.json").read_text())
        assert set(figures) == set(committed["figures"]), claim.name


def test_quick_claims_can_be_evaluated(book, untrained, digits_for_fashion_mnist):
    from harness.claim import evaluate

    quick = [claim for claim in book.CLAIMS.values() if claim.quick is not None]
    assert len(quick) > 8
    for claim in quick:
        assert evaluate(claim, measured(claim, **claim.quick))


def criterion(figure, mean, *, good, met=None, low=None):
    return {
        "figure": figure,
        "mean": mean,
        "interval": {"low": low, "high": None if low is None else 2 * mean - low},
        "low": 1.0,
        "high": None,
        "of": "interval",
        "null": None,
        "null_fails": good or not met,
        "met": good if met is None else met,
        "good": good,
    }


def test_the_short_table_and_the_marks_of_the_tables(book, tmp_path, monkeypatch):
    from harness.command_line import Collection

    results = tmp_path / "results"
    results.mkdir()
    both = [
        criterion("shallow: steps, a over b", 1.5, good=True, low=1.25),
        criterion("deep: steps, a over b", 0.8, good=False),
        criterion("wide: time", 2.0, good=False, met=True),
        criterion("narrow: time", None, good=True),
    ]
    contents = {
        "first": {"statement": "A helps.", "verdict": "REPRODUCED", "criteria": both[:1]},
        "second": {"statement": "B helps.", "verdict": "PARTIAL", "criteria": both},
        "third": {"statement": "C helps.", "verdict": "DIVERGED", "criteria": both[1:2]},
    }
    for name, content in contents.items():
        (results / f"{name}.json").write_text(json.dumps({"claim": name, **content}))
    claims = {name: SimpleNamespace(statement=contents.get(name, {}).get("statement", "D helps."))
              for name in (*contents, "fourth")}  # fmt: skip
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs/textbook.md"
    page.write_text(
        "".join(
            f"before\n<!-- {mark} -->\nsurpassed\n<!-- end of {mark} -->\n"
            for mark in ("sentences", "results")
        )
    )
    monkeypatch.setattr(book, "FOLDER", tmp_path / "experiments")
    book.document(Collection("title", claims, book.WORDS, results))
    every = page.read_text()
    short, _, _ = every.partition("before\n<!-- results -->")
    assert short.splitlines() == [
        "before",
        "<!-- sentences -->",
        "| name | sentence | verdict |",
        "|---|---|---|",
        "| `first` | A helps. | **holds** |",
        "| `second` | B helps. | "
        "**depends**; holds: shallow; narrow; does not: deep; wide (null arm too) |",
        "| `third` | C helps. | **does not hold** |",
        "| `fourth` | D helps. | **not tested** |",
        "<!-- end of sentences -->",
    ]
    assert "`second`" in every
    assert "narrow: time" in every
    assert "outdated" not in every
