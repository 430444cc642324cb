"""Why combinations rank as they do, as a table: what their layers went through."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jcnn.analysis.ranking import Row
    from jcnn.diagnosis.monitor import Moment

CAPTION = (
    "in the order of the ranking, from the first measurement to the last: |dL/dh| at the first "
    "layer over that at the last hidden one; elements where the activation is flat, and units "
    "active for no example, in the layer that has most; and what is wrong"
)


def moments_table(moments: Sequence["Moment"], most: int = 12) -> object:
    """A training's moments, evenly spread where there are more than `most`."""
    from rich.table import Table
    from rich.text import Text

    from jcnn.analysis.text import show_share

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
            show_share(one.saturated),
            show_share(one.dead),
            Text(one.verdict),
        )
    return table


def why_table(rows: Sequence["Row"], whys: Sequence[Sequence["Moment"]]) -> object:
    """What the layers of each combination went through at its chosen rate."""
    from rich.table import Table
    from rich.text import Text

    from jcnn.analysis.text import moment_cells

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(", ".join(f.replace("_", " ") for f in rows[0].levels), overflow="fold")
    for head in ("gradient", "saturated", "dead"):
        table.add_column(head, justify="right")
    table.add_column("what is wrong", overflow="fold")
    for place, (row, why) in enumerate(zip(rows, whys, strict=True), start=1):
        cells = moment_cells(why) if why else ["", "", "", "not measured"]
        table.add_row(str(place), *map(Text, [", ".join(row.levels.values()), *cells]))
    return table
