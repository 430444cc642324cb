"""Sets of combinations described by the levels that they have in common."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

Levels = Mapping[str, str]
# The most levels that a description names.
_MOST_LEVELS = 3


class Condition(NamedTuple):
    """The combinations that have all of these levels, by their places in the list."""

    levels: dict[str, str]
    members: frozenset[int]


def conditions(chosen: Collection[int], combinations: Sequence[Levels]) -> list[Condition]:
    """Describe some of the combinations by as few conditions as a greedy search finds.

    Every combination that satisfies a condition is one of those chosen, and every chosen one
    satisfies a condition. Conditions that cover more come first; among those that cover equally
    many, those with fewer levels. A combination that shares nothing is described by all its levels.

    >>> levels = [{"act": a, "norm": n} for a in ("relu", "tanh") for n in ("none", "batch")]
    >>> [condition.levels for condition in conditions([0, 2, 3], levels)]
    [{'act': 'tanh'}, {'norm': 'none'}]
    """
    chosen = frozenset(chosen)
    found: list[Condition] = []
    candidates = _candidates(chosen, combinations)
    left = set(chosen)
    while left:
        best = max(
            candidates,
            key=lambda candidate: (len(candidate.members & left), -len(candidate.levels)),
        )
        found.append(best)
        left -= best.members
    return found


def _candidates(chosen: frozenset[int], combinations: Sequence[Levels]) -> list[Condition]:
    """The conditions that only chosen combinations satisfy, each with as few levels as possible."""
    varied = [
        factor
        for factor in (combinations[0] if combinations else {})
        if len({levels[factor] for levels in combinations}) > 1
    ]
    candidates: list[Condition] = []
    if len(chosen) == len(combinations):
        return [Condition({}, chosen)]
    sizes = [*range(1, min(len(varied), _MOST_LEVELS + 1)), len(varied)]
    for size in sizes:
        for factors in itertools.combinations(varied, size):
            members: dict[tuple[str, ...], set[int]] = {}
            for i, levels in enumerate(combinations):
                members.setdefault(tuple(levels[factor] for factor in factors), set()).add(i)
            candidates += [
                Condition(dict(zip(factors, levels, strict=True)), frozenset(group))
                for levels, group in members.items()
                if group <= chosen
            ]
    return candidates
