"""Studies drawn from recorded trainings: what is false in null studies, what is found in others."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tests.slow import short_first


@pytest.fixture(scope="module")
def experiment():
    """The experiment that draws studies from recorded runs."""
    path = Path(__file__).resolve().parents[2] / "experiments" / "answer_errors.py"
    spec = importlib.util.spec_from_file_location("answer_errors", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recorded(experiment):
    """Recorded runs: (combinations, rates, seeds, (validation, test))."""
    content = json.loads(experiment.RECORDED.read_text())
    return {
        name: np.array(part["runs"], float).reshape(part["shape"]) for name, part in content.items()
    }


@pytest.mark.parametrize(("studies", "arms"), short_first([(50, 2), (300, 2), (300, 12)]))
def test_null_studies_seldom_say_anything_false(experiment, recorded, studies, arms):
    found = experiment.chosen_rates((arms, 5), studies, recorded["null"][0])
    margin = 3 * np.sqrt(0.05 * 0.95 * studies)
    assert found["any false sentence"] <= 0.05 * studies + margin
    assert found["best ruled out"] <= 0.025 * studies + margin
    assert found["sole winner"] <= 0.025 * studies + margin


@pytest.mark.parametrize(("studies", "seeds"), short_first([(30, 5), (200, 5), (200, 12)]))
def test_the_default_study_keeps_the_best_and_rules_out_the_worse(
    experiment, recorded, studies, seeds
):
    found = experiment.power(seeds, studies, recorded["default"])
    assert found["kept"] >= 0.95 * studies
    assert found["held"] >= 0.95 * studies
    assert found["ruled out"] >= (0.35 if seeds == 5 else 0.7)


def test_committed_results_are_of_these_cases(experiment):
    content = json.loads((experiment.RESULTS / "answer-errors.json").read_text())
    assert {row["kind"] for row in content["null"]} == {*experiment.DISTRIBUTIONS, "chosen rates"}
    assert all(row["studies"] >= 1000 for part in content.values() for row in part)
    assert {row["arms"] for row in content["null"]} == {2, 6, 12, 40}
