"""The differences between two studies, and whether shared combinations moved beyond noise."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jcnn import strict_json
from jcnn.analysis.planned import planned_comparisons
from jcnn.analysis.ranking import Row
from jcnn.analysis.result import Result
from jcnn.analysis.spread import LEVEL, UNKNOWN, Interval

_VERSIONS = ("jcnn", "python", "jax", "jaxlib", "flax", "optax", "numpy", "platform", "device")


class Moved(NamedTuple):
    """A combination of both studies: its two means, and a test of their difference.

    `interval` is that of the second mean minus the first; it and `p` are corrected for all
    combinations that both studies have. They are NaN below three seeds.
    """

    levels: Mapping[str, str]
    first: float
    second: float
    interval: Interval
    p: float

    @property
    def real(self) -> bool:
        """Whether it moved beyond noise."""
        return self.p <= 1 - LEVEL


class Difference(NamedTuple):
    """What differs between two studies.

    `settings` and `versions` map each name that differs to its two values. `only_first` and
    `only_second` are combinations that the other study does not have.
    """

    settings: dict[str, tuple[Any, Any]]
    versions: dict[str, tuple[Any, Any]]
    only_first: list[Mapping[str, str]]
    only_second: list[Mapping[str, str]]
    moved: list[Moved]


def difference(first: Result, second: Result) -> Difference:
    """Compare two results. Raises ValueError if they are ranked by different metrics.

    >>> first = Result({"epochs": 1}, "accuracy", True, [{"pooling": "max"}])
    >>> second = Result({"epochs": 2}, "accuracy", True, [{"pooling": "max"}])
    >>> difference(first, second).settings
    {'epochs': (1, 2)}
    """
    if first.metric.name != second.metric.name:
        raise ValueError(
            f"one study is ranked by {first.metric.name}, the other by {second.metric.name}"
        )
    mine, theirs = _by_levels(first), _by_levels(second)
    shared = [key for key in mine if key in theirs]
    raced = first.answer.raced or second.answer.raced
    pairs = [(mine[key], theirs[key]) for key in shared]
    tests = _tests(pairs, first.answer.resolution, raced=raced)
    return Difference(
        _changed(_flat(first.study), _flat(second.study)),
        _changed(
            {name: first.environment.get(name) for name in _VERSIONS},
            {name: second.environment.get(name) for name in _VERSIONS},
        ),
        [mine[key].levels for key in mine if key not in theirs],
        [theirs[key].levels for key in theirs if key not in mine],
        [
            Moved(mine[key].levels, mine[key].mean, theirs[key].mean, interval, p)
            for key, (interval, p) in zip(shared, tests, strict=True)
        ],
    )


def _by_levels(result: Result) -> dict[tuple[tuple[str, str], ...], Row]:
    return {tuple(sorted(row.levels.items())): row for row in result.ranking()}


def _flat(study: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in study.items() if key != "factors"}
    return plain | {f"factors.{name}": value for name, value in study.get("factors", {}).items()}


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*first, *second])
    pairs = {name: (_short(first.get(name)), _short(second.get(name))) for name in names}
    return {name: (a, b) for name, (a, b) in pairs.items() if a != b}


def _short(setting: Any) -> Any:
    """A setting; the number of points instead of a list of them."""
    if isinstance(setting, list) and setting and isinstance(setting[0], Mapping):
        text = strict_json.dumps(setting)
        return f"{len(setting)} points ({hashlib.sha256(text.encode()).hexdigest()[:8]})"
    return setting


def _tests(
    pairs: Sequence[tuple[Row, Row]], resolution: float | None, *, raced: bool
) -> list[tuple[Interval, float]]:
    """The second row minus the first, as one family: intervals and p-values."""
    known = [i for i, pair in enumerate(pairs) if all(row.comparable for row in pair)]
    results = [(UNKNOWN, float("nan"))] * len(pairs)
    if not known:
        return results
    arms = [row.counted for i in known for row in pairs[i]]
    weights = np.kron(np.eye(len(known)), [-1.0, 1.0])
    found = planned_comparisons(arms, weights, resolution=resolution, raced=raced)
    for i, comparison in zip(known, found, strict=True):
        results[i] = (comparison.interval, comparison.p)
    return results
