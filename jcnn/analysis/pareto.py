"""The Pareto front: combinations that no cheaper one is better than, and how certain that is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jcnn.analysis.best import could_be_best
from jcnn.analysis.ranking import Row
from jcnn.analysis.spread import LEVEL, Values


class ParetoFront(NamedTuple):
    """Arms by their values and costs; arrays have an entry per arm.

    `dominated` arms are worse, by more than chance, than one that costs no more; `by` is the best
    of those, -1 for the others. `certain` arms are better by more than chance than all that cost no
    more, so they belong to the front. Others may belong to it.
    """

    dominated: np.ndarray
    certain: np.ndarray
    by: np.ndarray


class FrontRow(NamedTuple):
    """A combination with its cost, and whether it is on the Pareto front of metric and cost.

    It is `certain` to be if it is better than all that cost no more, and `dominated` if one of
    them, `by`, is better, both by more than chance; otherwise it may be.
    """

    row: Row
    cost: float
    certain: bool
    dominated: bool
    by: Row | None


def pareto_front(
    arms: Sequence[Values] | np.ndarray,
    costs: Sequence[float | int] | np.ndarray,
    *,
    resolution: float | None = None,
    level: float = LEVEL,
) -> ParetoFront:
    """Return which arms may be on the front of large values and small costs.

    Costs are exact, such as a number of parameters; values are over seeds. An arm is on the front
    if it is the best of all that cost no more, so for each cost these are compared with the best of
    them (`could_be_best`), and the chance of an error is divided by the number of different costs.
    With the probability of the level, no arm of the front is called dominated. Below 5 values,
    nothing is.

    Raises ValueError if a cost is not a finite number, or as `could_be_best` does.

    >>> wide, small = [0.98, 0.97, 0.98, 0.99, 0.98], [0.94, 0.95, 0.95, 0.93, 0.94]
    >>> slow = [0.85, 0.86, 0.84, 0.85, 0.86]
    >>> front = pareto_front([wide, small, slow], costs=[9000, 1000, 5000])
    >>> front.certain.tolist(), front.dominated.tolist(), front.by.tolist()
    ([True, True, False], [False, False, True], [-1, -1, 1])
    """
    costs = np.asarray(costs, float)
    if len(costs) != len(arms) or not np.isfinite(costs).all():
        raise ValueError(f"costs={costs.tolist()}; expected a finite number for each arm")
    dominated, certain = np.zeros((2, len(arms)), bool)
    by = np.full(len(arms), -1)
    distinct = np.unique(costs)
    for cost in distinct:
        affordable = np.flatnonzero(costs <= cost)
        chosen = [np.asarray(arms[i], float) for i in affordable.tolist()]
        found = could_be_best(
            chosen,
            resolution=resolution,
            level=1 - (1 - level) / len(distinct),
        )
        left = affordable[found.left]
        out = affordable[~found.left & (costs[affordable] == cost)]
        dominated[out], by[out] = True, affordable[found.leader]
        if len(left) == 1 and costs[left[0]] == cost:
            certain[left] = True
    return ParetoFront(dominated, certain, by)


def front_rows(
    rows: Sequence[Row],
    arms: Sequence[Values],
    costs: Sequence[float],
    *,
    resolution: float | None,
    level: float,
) -> list[FrontRow]:
    """The rows of a ranking with their place on the front, the cheapest first.

    `arms` has the values of each row; `costs` has a number per combination, NaN if it is unknown.
    """
    known = [i for i, row in enumerate(rows) if np.isfinite(costs[row.combination])]
    if not known:
        return []
    mine = [costs[rows[i].combination] for i in known]
    found = pareto_front([arms[i] for i in known], mine, resolution=resolution, level=level)
    return [
        FrontRow(
            rows[known[place]],
            mine[place],
            bool(found.certain[place]),
            bool(found.dominated[place]),
            rows[known[found.by[place]]] if found.dominated[place] else None,
        )
        for place in sorted(range(len(known)), key=lambda i: mine[i])  # then the better first
    ]
