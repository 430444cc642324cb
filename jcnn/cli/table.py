"""A result in the terminal: the ranking as a table, then the answer in words."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jcnn.cli.why import CAPTION, why_table

if TYPE_CHECKING:
    from jcnn.analysis.result import Row
    from jcnn.study import Result

# How many are printed, the largest first; results.json has them all.
MOST_INTERACTIONS = 5
# What the column of combinations has in however narrow a terminal.
_LEAST_WIDTH = 10


def show(result: "Result", out: Path, baseline: dict[str, str] | None) -> None:
    """Print the ranking, the effects, what is to be noted, and where it all is."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    answer = result.answer
    rows = answer.rows
    console.print(_table(result, rows, baseline, console.width))
    console.print(f"\n{_caption(result, rows)}")
    if baseline is not None:
        console.print("+ apart from the baseline: paired t-test, Holm-corrected p below 0.05")
    for remark in answer.remarks:
        console.print(remark)
    if any(whys := [result.why(row) for row in rows]):
        console.print()
        console.print(why_table(rows, whys))
        console.print(f"\n{CAPTION}")
    console.print()
    if answer.verdict:
        console.print(Text(f"{answer.verdict}\n"))
    for sentence in (
        *answer.effect_sentences,
        *answer.interaction_sentences[:MOST_INTERACTIONS],
    ):
        console.print(Text(f"- {sentence}"))
    for note in result.notes:
        console.print(Text(f"- {note}"))
    console.print(f"\n{_cost(result, out)}")


def tell_failures(result: "Result") -> None:
    """A line on stderr for each combination that could not be trained."""
    from jcnn.analysis.labels import label

    for index, reason in result.failures.items():
        levels = label(result.combinations[index])
        print(f"jcnn: {levels or 'the only combination'} failed: {reason}", file=sys.stderr)


def _table(
    result: "Result", rows: Sequence["Row"], baseline: dict[str, str] | None, width: int
) -> object:
    """The ranking; a column that would be empty is left out."""
    from rich.table import Table
    from rich.text import Text

    shown = result.metric
    columns = {
        "rate": [f"{row.learning_rate:g}{'*' if row.at_edge else ' '}" for row in rows],
        shown.title: [shown.show(row.mean) for row in rows],
        "over baseline": [
            f"{shown.show_difference(one.difference)}{' +' if one.real else '  '}"
            for one in (result.comparisons(baseline) if baseline is not None else ())
        ],
        "95% interval": [shown.show_interval(row.interval) for row in rows],
        "spread": [shown.show(row.std) for row in rows],
        "rates": [f"{len(r.working)}/{len(r.by_rate)}" if len(r.by_rate) > 1 else "" for r in rows],
        "never": [f"{row.missed}/{len(row.values)}" if row.missed else "" for row in rows],
        "diverged": [f"{row.diverged}/{row.runs}" if row.diverged else "" for row in rows],
    }
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    # Heads wrap at words, so that a column is as wide as its cells.
    widths = {title: max(map(len, [*title.split(), *cells])) for title, cells in columns.items()}
    levels = [", ".join(row.levels.values()) for row in rows]
    left = width - sum(widths.values()) - 2 * len(widths) - len(f"{len(rows)}  ")
    factors = ", ".join(factor.replace("_", " ") for factor in result.combinations[0])
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(factors or "combination", overflow="fold", max_width=max(left, _LEAST_WIDTH))
    for title in columns:
        table.add_column(title, justify="right", overflow="fold", max_width=widths[title])
    for place, cells in enumerate(zip(levels, *columns.values(), strict=True), start=1):
        table.add_row(str(place), Text(cells[0]), *cells[1:])
    return table


def _caption(result: "Result", rows: Sequence["Row"]) -> str:
    seeds = len(rows[0].values) if rows else 0
    text = (
        f"mean, its 95% bootstrap interval and standard deviation of {result.metric.title} over "
        f"{seeds} seeds, at the learning rate chosen on validation for each combination"
    )
    if any(row.missed for row in rows):
        text += "; never: runs that did not get there, which count with all their time"
    if rows and len(rows[0].by_rate) > 1:
        text += "; rates: how many come within 5% of the best one on validation"
    return text


def _cost(result: "Result", out: Path) -> str:
    ran = result.environment
    known = ran.get("runs_found", 0)
    if "seconds" not in ran:
        return f"in {out}"
    if not ran.get("runs_trained"):
        return f"all {len(result.records)} runs were in {out}; nothing was trained"
    compiled, found, seconds = ran["compilations"].values()
    return (
        f"{ran['seconds']:.0f} s on {ran['device']}; {compiled} programs compiled and {found} "
        f"found compiled, {seconds:.0f} s of threads' time, mostly while others trained; "
        + (f"{known} runs were there already; " if known else "")
        + f"in {out}"
    )
