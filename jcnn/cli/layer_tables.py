"""Tables of what the layers went through during training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jcnn.cli.tables import Column, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jcnn.analysis.ranking import Row
    from jcnn.diagnosis import StepDiagnosis

CAPTION = (
    "in the order of the ranking, first > last measurement; gradient: |dL/dh| at the first layer "
    "over that at the last hidden one; saturated: elements at which the activation is flat, and "
    "dead: units active for no example, both in the layer with the most"
)


def steps_table(steps: Sequence["StepDiagnosis"], width: int, most: int = 12) -> "RenderableType":
    """Return the measurements of one training, at most `most`, evenly spread."""
    from jcnn.analysis.text import show_share

    last = len(steps) - 1
    shown = [steps[i] for i in sorted({round(n * last / (most - 1)) for n in range(most)})]
    columns = [
        Column("step", [str(step.step) for step in shown], numeric=True),
        Column("gradient", [f"{step.gradient_ratio:.2g}" for step in shown], numeric=True),
        Column("saturated", [show_share(step.saturated) for step in shown], numeric=True),
        Column("dead", [show_share(step.dead) for step in shown], numeric=True),
        Column("verdict", [step.verdict for step in shown]),
    ]
    return table(columns, width)


def ranking_steps_table(
    rows: Sequence["Row"], steps: Sequence[Sequence["StepDiagnosis"]], width: int
) -> "RenderableType":
    """Return the first and last measurement of each combination at its chosen learning rate."""
    from jcnn.analysis.text import step_cells

    cells = [step_cells(each) if each else ["", "", "", "not measured"] for each in steps]
    gradient, saturated, dead, verdict = ([row[i] for row in cells] for i in range(4))
    factors = ", ".join(factor.replace("_", " ") for factor in rows[0].levels)
    columns = [
        Column("#", [str(place) for place in range(1, len(rows) + 1)], numeric=True),
        Column(factors or "combination", [", ".join(row.levels.values()) for row in rows]),
        Column("gradient", gradient, numeric=True),
        Column("saturated", saturated, numeric=True),
        Column("dead", dead, numeric=True),
        Column("verdict", verdict),
    ]
    return table(columns, width)
