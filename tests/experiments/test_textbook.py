"""A textbook's sentences: what each measures, a quick trial of two, and the tables of results."""

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
    assert len(book.SENTENCES) == 17
    assert all(name in listed for name in book.SENTENCES)


def test_a_quick_trial_of_two(tmp_path):
    done = run("max-edges", "l2-intensity", "--smoke", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    edges, intensity = json.loads((tmp_path / "results.json").read_text())
    met = {one["figure"].partition(":")[0]: one["good"] for one in edges["criteria"]}
    # Thin bright strokes are widened, thin dark ones painted over.
    assert met["digits, bright on dark"]
    assert not met["digits, dark on bright"]
    assert all(one["null_fails"] for one in edges["criteria"])
    met = {one["figure"].partition(":")[0]: one["good"] for one in intensity["criteria"]}
    assert met["images"]
    assert not met["feature maps"]  # whose means say nothing of how strong they are


def pretended(found, study, name):
    """A study's result as if it had been trained."""
    from jcnn.engine import Outcome
    from jcnn.study import Result, RunRecord

    rng = np.random.default_rng(zlib.crc32(name.encode()))

    def outcome():
        rising = np.sort(rng.uniform(0.5, 1, study.epochs)).tolist()
        curves = {"validation_accuracy": rising, "validation_loss": [1 - one for one in rising]}
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
    """Everything that takes long is pretended: studies, networks' classes, times, diagnoses."""
    from jcnn import data
    from textbook import cross_entropy, deep_net, shared, timing, trained, volumes

    diagnosis = SimpleNamespace(gradient_ratio=0.5, layers=[SimpleNamespace(update_ratio=0.1)])
    clips = data.load("moving-digits")
    solid = replace(
        clips,
        train_inputs=clips.train_inputs.repeat(2, axis=1),
        test_inputs=clips.test_inputs.repeat(2, axis=1),
    )
    for module, name, instead in (
        (shared, "run", pretended),
        (trained, "predictions", lambda study, row, inputs: np.zeros((2, len(inputs)), int)),
        (timing, "calls", lambda *_: None),
        (timing, "steps", lambda *_: None),
        (timing, "over", lambda sides, base, *_: {s: np.ones(2) for s in sides if s != base}),
        (cross_entropy, "_gradients", lambda *_: {"linear": 1.0, "sigmoid": 2.0}),
        (deep_net, "_diagnoses", lambda configuration, *_, **__: [diagnosis] * 2),
        (volumes, "adrenal", lambda: solid),
    ):
        monkeypatch.setattr(module, name, instead)


def measured(claim, **changes):
    """The figures that a sentence finds, from two seeds."""
    from harness.found import Found

    found = Found()
    configuration = {**claim.configuration, **changes}
    small = {"seeds": 2, "examples": 100}
    cut = {name: value for name, value in small.items() if name in configuration}
    claim.measure(configuration | cut, found)
    return found.figures


@pytest.fixture
def pictures(monkeypatch):
    """Fashion-MNIST, which may not be there, is digits under its name."""
    from jcnn import data

    load = data.load
    monkeypatch.setattr(
        data, "load", lambda name: load("digits" if name == "fashion-mnist" else name)
    )


@pytest.mark.slow
def test_every_sentence_measures_what_it_is_judged_by(book, untrained, pictures):
    for claim in book.SENTENCES.values():
        figures = measured(claim)
        for one in claim.criteria:
            assert len(figures[one.figure]) > 1, one.figure
            assert one.null is None or one.null in figures, one.null
        # Tables name a criterion by what stands before its colon.
        conditions = [book.split(one.figure)[0] for one in claim.criteria]
        assert len(set(conditions)) == len(conditions), claim.name
        assert all(book.split(one.figure)[1] for one in claim.criteria)


def test_what_is_quick_can_be_judged(book, untrained, pictures):
    from harness.claim import judge

    quick = [claim for claim in book.SENTENCES.values() if claim.quick is not None]
    assert len(quick) > 8
    for claim in quick:
        assert judge(claim, measured(claim, **claim.quick))


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


def test_the_short_table_and_where_the_tables_go(book, tmp_path, monkeypatch):
    from harness.runner import Collection

    results = tmp_path / "results"
    results.mkdir()
    both = [
        criterion("shallow: steps, a over b", 1.5, good=True, low=1.25),
        criterion("deep: steps, a over b", 0.8, good=False),
        criterion("wide: time", 2.0, good=False, met=True),
        criterion("narrow: time", None, good=True),
    ]
    told = {
        "first": {"statement": "A helps.", "verdict": "REPRODUCED", "criteria": both[:1]},
        "second": {"statement": "B helps.", "verdict": "PARTIAL", "criteria": both},
        "third": {"statement": "C helps.", "verdict": "DIVERGED", "criteria": both[1:2]},
    }
    for name, content in told.items():
        (results / f"{name}.json").write_text(json.dumps({"claim": name, **content}))
    claims = {name: SimpleNamespace(statement=told.get(name, {}).get("statement", "D helps."))
              for name in (*told, "fourth")}  # fmt: skip
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
    assert "surpassed" not in every
