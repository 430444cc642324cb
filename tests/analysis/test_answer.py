"""The frozen answer: computed once, and read by text, JSON, report and notebook alike."""

import dataclasses
import json

import numpy as np
import pytest

from jcnn import analysis, report
from jcnn.analysis import Result, RunRecord, findings
from jcnn.analysis.labels import join_names, label, short_label
from jcnn.engine import Outcome


@pytest.fixture
def result():
    """Three poolings and two widths over five seeds; `max` is best, by more than the noise."""
    gains = {"max": 0.1, "avg": 0.0, "l2": 0.02}
    combinations = [{"pooling": pool, "width": width} for pool in gains for width in ("8", "16")]
    noise = np.random.default_rng(0)
    records = []
    for index, levels in enumerate(combinations):
        for seed in range(5):
            accuracy = 0.8 + gains[levels["pooling"]] + 0.003 * noise.normal()
            curves = {f"{part}_accuracy": [accuracy] for part in ("train", "validation")}
            records.append(RunRecord(index, 0.1, seed, Outcome(curves, {"accuracy": accuracy})))
    study = {"data": "digits", "model": "lenet"}
    return Result(study, "accuracy", True, combinations, records, test_examples=100)


def test_every_part_is_computed_once(result, monkeypatch):
    calls = dict.fromkeys(("rank", "effect", "family", "could_be_best"), 0)

    def counted(name):
        function = getattr(findings, name)

        def call(*arguments, **keywords):
            calls[name] += 1
            return function(*arguments, **keywords)

        return call

    for name in calls:
        monkeypatch.setattr(findings, name, counted(name))
    for _ in range(2):
        page = report.render(result)
        result.to_json()
        result._repr_html_()
        result.ranking(), result.verdict(), result.effects(), result.interactions()
        result.may_be_best(), result.bound
        assert "max" in page
    assert calls == {"rank": 1, "effect": 2, "family": 1, "could_be_best": 1}


def test_the_answer_is_frozen_and_another_metric_has_its_own(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.answer.metric = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.records = []
    area = result.by("area")
    assert area.answer is not result.answer
    assert area.answer is area.answer
    assert (area.metric.name, result.metric.name) == ("area", "accuracy")


def test_effects_are_of_levels_over_shared_settings(result):
    pooling, width = result.answer.effects
    assert (pooling.factor, pooling.levels[0].name) == ("pooling", "max")
    assert pooling.trained == ("max", "avg", "l2")
    by_hand = {
        name: np.mean([r.outcome.test["accuracy"] for r in result.records
                       if result.combinations[r.combination]["pooling"] == name])
        for name in pooling.trained
    }  # fmt: skip
    for level in pooling.levels:
        assert level.mean == pytest.approx(by_hand[level.name])
        assert level.interval.low < level.mean < level.interval.high
    assert all(level.gain.real for level in pooling.levels[1:])
    assert {gain.given["width"] for gain in pooling.levels[1].where} == {"8", "16"}
    assert not width.levels[1].gain.real


def test_the_ruled_out_are_worse_by_more_than_chance(result):
    out = {result.combinations[i]["pooling"] for i in result.answer.ruled_out}
    assert out == {"avg", "l2"}
    assert [row.levels["pooling"] for row in result.may_be_best()] == ["max", "max"]
    first, second, third = result.ranking()[:3]
    assert result.answer.may_exceed(first) == result.answer.may_exceed(third) == 0
    assert result.answer.may_exceed(second) == result.bound > 0
    timed = result.by("seconds:0.5")
    assert timed.answer.ruled_out == frozenset()
    assert np.isnan(timed.bound)


def test_all_readers_say_the_same(result):
    content = json.loads(result.to_json())
    assert [row["may_be_best"] for row in content["ranking"]] == [True] * 2 + [False] * 4
    assert content["bound"] == result.bound
    assert content["verdict"] == result.verdict()
    table = analysis.table.ranking_table(result.answer)
    column = [column.title for column in table.columns].index("may be better by")
    assert [row[column].text for row in table.rows][2:] == ["ruled out"] * 4
    assert table.rows[1][column].text == result.metric.show_bound(result.bound)
    assert result.verdict() in report.render(result).replace("&#39;", "'")


def test_a_baseline_stands_at_its_own_place(result):
    comparisons = result.comparisons({"pooling": "l2", "width": "8"})
    rows = result.ranking()
    place = next(i for i, row in enumerate(rows) if row.levels == {"pooling": "l2", "width": "8"})
    assert len(comparisons) == len(rows)
    assert comparisons[place].difference == 0
    assert not comparisons[place].real
    for row, comparison in zip(rows, comparisons, strict=True):
        assert comparison.difference == pytest.approx(row.mean - rows[place].mean, abs=1e-9)
    with pytest.raises(ValueError, match="matches 2 combinations; expected exactly one"):
        result.comparisons({"pooling": "l2"})


def test_labels():
    levels = {"activation": "relu", "depth": "8"}
    assert (label(levels), short_label(levels)) == ("activation=relu, depth=8", "relu 8")
    assert (label({}), short_label({})) == ("", "the only combination")
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
