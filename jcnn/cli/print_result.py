"""A result in the terminal: the ranking as a table, then the answer in sentences."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jcnn.cli.formatting import count
from jcnn.cli.front_table import front_table
from jcnn.cli.layer_tables import CAPTION, ranking_steps_table
from jcnn.cli.tables import Column, console, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jcnn.analysis import Result, Row


def print_result(
    result: "Result", out: Path, baseline: dict[str, str] | None, cost: str | None = None
) -> None:
    """Print the ranking, the Pareto front of `cost`, the answer, the notes, and the directory."""
    terminal, answer = console(), result.answer
    rows = answer.rows
    terminal.print(_ranking(result, rows, baseline, terminal.width))
    terminal.print(f"\n{_caption(result, rows, baseline)}")
    if baseline is not None:
        terminal.print("+ differs from the baseline by more than chance (all of them together: 5%)")
    for remark in answer.remarks:
        terminal.print(remark)
    if any(steps := [result.why(row) for row in rows]):
        terminal.print()
        terminal.print(ranking_steps_table(rows, steps, terminal.width))
        terminal.print(f"\n{CAPTION}")
    if cost is not None:
        terminal.print()
        terminal.print(front_table(result, cost, terminal.width))
    terminal.print()
    if answer.verdict:
        terminal.print(f"{' '.join(filter(None, [answer.verdict, answer.outlook]))}\n")
    for sentence in answer.effect_sentences:
        terminal.print(f"- {sentence}")
    for note in result.notes:
        terminal.print(f"- {note}")
    terminal.print(f"\n{_cost(result, out)}")


def print_failures(result: "Result") -> None:
    """Print a line on stderr for each combination that could not be trained."""
    from jcnn.analysis.labels import label

    for index, reason in result.failures.items():
        levels = label(result.combinations[index])
        print(f"jcnn: {levels or 'the only combination'} failed: {reason}", file=sys.stderr)


def _ranking(
    result: "Result", rows: Sequence["Row"], baseline: dict[str, str] | None, width: int
) -> "RenderableType":
    from jcnn.analysis.table import may_gain

    metric = result.metric
    points = " (points)" if metric.percent else ""
    numbers = {
        "rate": [f"{row.learning_rate:g}{'*' if row.at_edge else ' '}" for row in rows],
        metric.title: [metric.show(row.mean) for row in rows],
        **(
            {f"may be better by{points}": [_number(may_gain(result.answer, row)) for row in rows]}
            if baseline is None
            else {f"over baseline{points}": _over_baseline(result, baseline)}
        ),
        "95% interval": [metric.show_interval(row.interval) for row in rows],
        "std": [metric.show(row.std) if math.isnan(row.interval.low) else "" for row in rows],
        "good rates": [
            f"{len(r.working)}/{len(r.by_rate)}" if len(r.by_rate) > 1 else "" for r in rows
        ],
        "not reached": [f"{row.missed}/{len(row.values)}" if row.missed else "" for row in rows],
        "diverged": [f"{row.diverged}/{row.runs}" if row.diverged else "" for row in rows],
    }
    factors = ", ".join(factor.replace("_", " ") for factor in result.combinations[0])
    columns = [
        Column("#", [str(place) for place in range(1, len(rows) + 1)], numeric=True),
        Column(factors or "combination", [", ".join(row.levels.values()) for row in rows]),
        *(Column(head, cells, numeric=True) for head, cells in numbers.items() if any(cells)),
    ]
    return table(columns, width)


def _over_baseline(result: "Result", baseline: dict[str, str]) -> list[str]:
    return [
        f"{_number(result.metric.show_difference(each.difference))}{' +' if each.real else '  '}"
        for each in result.comparisons(baseline)
    ]


def _number(shown: str) -> str:
    """A difference without its unit, which the column's title has."""
    return shown.partition(" point")[0]


def _caption(result: "Result", rows: Sequence["Row"], baseline: dict[str, str] | None) -> str:
    from jcnn.analysis.text import seed_counts

    text = (
        f"{result.metric.title}: mean {_spread(rows)}over {seed_counts(rows)}, at the learning "
        "rate chosen on validation for each combination"
    )
    if baseline is None and result.answer.bound > 0:
        text += "; may be better by: the most by which a combination may exceed the first"
    if any(row.missed for row in rows):
        text += "; not reached: runs that did not reach the value, counted with all their time"
    if rows and len(rows[0].by_rate) > 1:
        text += "; good rates: learning rates within 5% of the best one on validation"
    return text


def _spread(rows: Sequence["Row"]) -> str:
    if all(math.isnan(row.std) for row in rows):
        return ""
    known = all(math.isnan(row.interval.low) for row in rows)
    return "and standard deviation " if known else "and 95% interval "


def _cost(result: "Result", out: Path) -> str:
    ran = result.environment
    if "seconds" not in ran:
        return f"in {out}"
    if not ran.get("runs_trained"):
        return f"all {count(len(result.records), 'run')} were already in {out}; nothing was trained"
    programs, loaded = ran["compilations"], ran.get("runs_loaded", 0)
    return (
        f"{count(len(result.records), 'run')} in {ran['seconds']:.0f} s on {ran['device']}; "
        f"{count(programs['compiled'], 'program')} compiled ({programs['seconds']:.0f} s, in the "
        f"background), {programs['loaded']} loaded from the cache; "
        + (f"{count(loaded, 'run')} loaded from earlier; " if loaded else "")
        + f"in {out}"
    )
