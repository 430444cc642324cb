"""Designs of points: spread, balance, main effects told apart, and what is refused."""

import itertools
from collections import Counter

import numpy as np
import pytest

from jcnn.errors import UsageError
from jcnn.study.designs import Range, fractional_factorial, latin_hypercube, random_points

SPACE = {
    "activation": ["relu", "tanh", "gelu"],
    "learning_rate": Range(1e-3, 1.0, log=True),
    "momentum": Range(0.0, 0.96),
}


@pytest.mark.parametrize("draw", [random_points, latin_hypercube])
def test_points_lie_in_the_space_and_differ(draw):
    points = draw(SPACE, 50, seed=3)
    assert len(points) == 50 == len({tuple(point.values()) for point in points})
    assert {point["activation"] for point in points} == {"relu", "tanh", "gelu"}
    assert all(1e-3 <= point["learning_rate"] <= 1.0 for point in points)
    assert all(0.0 <= point["momentum"] <= 0.96 for point in points)
    assert draw(SPACE, 50, seed=3) == points
    assert draw(SPACE, 50, seed=4) != points


def test_a_logarithmic_range_has_as_many_points_in_each_decade():
    rates = [point["learning_rate"] for point in latin_hypercube(SPACE, 30)]
    assert Counter(int(np.floor(np.log10(rate))) for rate in rates) == {-3: 10, -2: 10, -1: 10}


def test_a_latin_hypercube_has_each_level_equally_often():
    points = latin_hypercube(SPACE, 30)
    assert set(Counter(point["activation"] for point in points).values()) == {10}
    parts = sorted(int(point["momentum"] / 0.96 * 30 - 1e-9) for point in points)
    assert max(abs(a - b) for a, b in zip(parts, range(30), strict=True)) <= 1


@pytest.mark.parametrize("k", [3, 4, 5, 7])
def test_half_of_a_two_level_factorial_is_orthogonal(k):
    names = [f"factor{i}" for i in range(k)]
    points = fractional_factorial(dict.fromkeys(names, (0, 1)), 2 ** (k - 1))
    coded = np.array([[2 * point[name] - 1 for name in names] for point in points])
    assert (coded.sum(axis=0) == 0).all()
    np.testing.assert_array_equal(coded.T @ coded, len(points) * np.eye(k))


def test_mixed_levels_are_balanced_and_estimable():
    factors = {"a": range(3), "b": range(2), "c": range(4), "d": range(3)}
    points = fractional_factorial(factors, 24)
    for name, values in factors.items():
        counts = Counter(point[name] for point in points)
        assert max(counts.values()) - min(counts.values()) <= 2
        assert set(counts) == set(values)


def test_a_large_grid_is_drawn_from():
    factors = {f"factor{i}": list("abcd") for i in range(10)}  # a million combinations
    points = fractional_factorial(factors, 40)
    assert len({tuple(point.values()) for point in points}) == 40
    assert all(set(point) == set(factors) for point in points)


def test_all_combinations_can_be_chosen():
    factors = {"a": ["x", "y"], "b": [1, 2, 3]}
    points = fractional_factorial(factors, 6)
    expected = [
        dict(zip(factors, each, strict=True)) for each in itertools.product("xy", [1, 2, 3])
    ]
    assert points == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: random_points({"a": [1, 2]}, 3), "n=3; the space has only about 2 different"),
        (lambda: random_points({"a": []}, 1), "factor 'a' has no values"),
        (lambda: fractional_factorial({"a": [1, 2]}, 3), "n=3; the factors have 2 combinations"),
        (
            lambda: fractional_factorial({"a": [1, 2, 3], "b": [1, 2]}, 3),
            "n=3; expected at least 4",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
