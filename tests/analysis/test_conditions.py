"""Sets of combinations described by their levels: nothing left out, nothing too many."""

import itertools

import numpy as np
import pytest

from jcnn.analysis.conditions import conditions

DESIGN = [
    dict(zip(("act", "init", "norm"), levels, strict=True))
    for levels in itertools.product(("relu", "tanh", "gelu"), ("he", "glorot"), ("none", "batch"))
]


@pytest.mark.parametrize("seed", range(20))
def test_conditions_cover_exactly_the_chosen_ones(seed):
    rng = np.random.default_rng(seed)
    chosen = {int(i) for i in rng.choice(12, rng.integers(1, 13), replace=False)}
    found = conditions(chosen, DESIGN)
    covered = {
        i
        for i, levels in enumerate(DESIGN)
        if any(condition.levels.items() <= levels.items() for condition in found)
    }
    assert covered == chosen
    assert all(
        condition.members == {i for i in chosen if condition.levels.items() <= DESIGN[i].items()}
        for condition in found
    )


def test_a_common_level_is_enough():
    chosen = [i for i, levels in enumerate(DESIGN) if levels["norm"] == "none"]
    (condition,) = conditions(chosen, DESIGN)
    assert condition.levels == {"norm": "none"}
    assert conditions(range(12), DESIGN)[0].levels == {}
    assert conditions([], DESIGN) == []
