"""Why combinations rank as they do, as a table: what their layers went through."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jcnn.diagnosis.following import Moment
    from jcnn.study.ranking import Row

CAPTION = (
    "in the order of the ranking, from the first measurement to the last: |dL/dh| at the first "
    "layer over that at the last hidden one; elements where the activation is flat, and units "
    "active for no example, in the layer that has most; and what is wrong"
)


def _both(first: str, last: str) -> str:
    return first if first == last else f"{first} > {last}"


def _shares(*values: float) -> str:
    return "" if math.isnan(values[0]) else _both(f"{values[0]:.0%}", f"{values[-1]:.0%}")


def moments_table(moments: Sequence["Moment"], most: int = 12) -> object:
    """A training's moments, evenly spread where there are more than `most`."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for head in ("step", "gradient", "saturated", "dead"):
        table.add_column(head, justify="right")
    table.add_column("what is wrong", overflow="fold")
    last = len(moments) - 1
    for i in sorted({round(place * last / (most - 1)) for place in range(most)}):
        one = moments[i]
        table.add_row(
            str(one.step),
            f"{one.gradient_ratio:.2g}",
            _shares(one.saturated),
            _shares(one.dead),
            Text(one.verdict),
        )
    return table


def why_table(rows: Sequence["Row"], whys: Sequence[Sequence["Moment"]]) -> object:
    """What the layers of each combination went through at its chosen rate."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(", ".join(f.replace("_", " ") for f in rows[0].levels), overflow="fold")
    for head in ("gradient", "saturated", "dead"):
        table.add_column(head, justify="right")
    table.add_column("what is wrong", overflow="fold")
    for place, (row, why) in enumerate(zip(rows, whys, strict=True), start=1):
        levels = Text(", ".join(row.levels.values()))
        if not why:
            table.add_row(str(place), levels, "", "", "", "not measured")
            continue
        first, last = why[0], why[-1]
        table.add_row(
            str(place),
            levels,
            _both(f"{first.gradient_ratio:.2g}", f"{last.gradient_ratio:.2g}"),
            _shares(first.saturated, last.saturated),
            _shares(first.dead, last.dead),
            Text(_both(first.verdict, last.verdict)),
        )
    return table
