"""The ranking as a table of texts with sort keys, for pages and notebooks."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from jcnn.analysis.answer import Answer
from jcnn.analysis.ranking import Row


class Column(NamedTuple):
    """A column's title and kind: "number", "number minor" (hidden on narrow screens) or "level"."""

    title: str
    kind: str


class Cell(NamedTuple):
    """A cell's text, and the number by which it is sorted; None for text."""

    text: str
    sort: float | None


class RankingTable(NamedTuple):
    """Columns, and a row of cells per combination, best first."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def ranking_table(answer: Answer) -> RankingTable:
    """Place, mean, levels, interval, what it may gain, spread and rates per combination."""
    metric = answer.metric
    with_diverged = any(row.diverged for row in answer.rows)
    factors = list(answer.combinations[0]) if answer.combinations else []
    columns = [Column("place", "number"), Column(metric.title, "number")]
    columns += [Column(factor.replace("_", " "), "level") for factor in factors]
    columns += [
        Column("95% interval", "number minor"),
        Column("may be better by", "number"),
        Column("spread", "number minor"),
        Column("rate", "number"),
        Column("rates that work", "number minor"),
    ]
    if with_diverged:
        columns.append(Column("diverged", "number minor"))
    rows = []
    for place, row in enumerate(answer.rows, start=1):
        cells = [_cell(str(place), place), _cell(metric.show(row.mean), row.mean)]
        cells += [Cell(level, None) for level in row.levels.values()]
        cells += [
            _cell(metric.show_interval(row.interval), row.interval.low),
            _cell(may_gain(answer, row), answer.may_exceed(row)),
            _cell(metric.show(row.std), row.std),
            _cell(f"{row.learning_rate:g}{'*' if row.at_edge else ''}", row.learning_rate),
            _cell(f"{len(row.working)} of {len(row.by_rate)}", len(row.working)),
        ]
        if with_diverged:
            cells.append(_cell(f"{row.diverged} of {row.runs}", row.diverged))
        rows.append(cells)
    return RankingTable(columns, rows)


def may_gain(answer: Answer, row: Row) -> str:
    """The most by which a combination may be better than the first, or that it is ruled out."""
    if row.combination in answer.ruled_out:
        return "ruled out"
    exceeds = answer.may_exceed(row)
    if row is answer.rows[0] or math.isnan(exceeds):
        return ""
    return answer.metric.show_bound(exceeds)


def _cell(text: str, sort: float | int) -> Cell:
    return Cell(text, float(sort) if math.isfinite(sort) else math.nan)
