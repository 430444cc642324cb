"""Why combinations rank as they do, as a table: what was wrong with their layers in training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jcnn.analysis.ranking import Row
    from jcnn.diagnosis import StepDiagnosis

CAPTION = (
    "in the order of the ranking, from the first measurement to the last: |dL/dh| at the first "
    "layer over that at the last hidden one; elements where the activation is flat, and units "
    "active for no example, in the layer with the most; and what is wrong"
)


def steps_table(diagnoses: Sequence["StepDiagnosis"], most: int = 12) -> object:
    """Return a table of a training's diagnoses, `most` of them at evenly spaced steps."""
    from rich.table import Table
    from rich.text import Text

    from jcnn.analysis.text import share

    table = Table(box=None, pad_edge=False)
    for head in ("step", "gradient", "saturated", "dead"):
        table.add_column(head, justify="right")
    table.add_column("what is wrong", overflow="fold")
    last = len(diagnoses) - 1
    for i in sorted({round(part * last / (most - 1)) for part in range(most)}):
        diagnosis = diagnoses[i]
        table.add_row(
            str(diagnosis.step),
            f"{diagnosis.gradient_ratio:.2g}",
            share(diagnosis.saturated),
            share(diagnosis.dead),
            Text(diagnosis.verdict),
        )
    return table


def why_table(rows: Sequence["Row"], whys: Sequence[Sequence["StepDiagnosis"]]) -> object:
    """Return a table of what was wrong with each combination at its chosen learning rate."""
    from rich.table import Table
    from rich.text import Text

    from jcnn.analysis.text import why_cells

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(", ".join(f.replace("_", " ") for f in rows[0].levels), overflow="fold")
    for head in ("gradient", "saturated", "dead"):
        table.add_column(head, justify="right")
    table.add_column("what is wrong", overflow="fold")
    for position, (row, why) in enumerate(zip(rows, whys, strict=True), start=1):
        cells = why_cells(why) if why else ["", "", "", "not measured"]
        table.add_row(str(position), *map(Text, [", ".join(row.levels.values()), *cells]))
    return table
