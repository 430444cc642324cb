"""The combinations by cost, and which of them are on the Pareto front, in the terminal."""

from typing import TYPE_CHECKING

from jcnn.cli.tables import Column, table
from jcnn.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jcnn.analysis import FrontRow, Result

_CAPTION = (
    "on the front: yes if it is better than every combination that costs no more, no if one of "
    "these is better than it, by more than chance (all of them together: 5%)"
)


def front_table(result: "Result", cost: str, width: int) -> "RenderableType":
    """Return the combinations from the cheapest to the most expensive, or why there are none."""
    from rich.console import Group

    from jcnn.analysis.labels import short_label

    try:
        found = result.front(cost)
    except UsageError as error:
        return f"no front of {cost}: {error}"
    show = f"{{:{'.2g' if cost == 'seconds' else ',.0f'}}}".format
    columns = [
        Column(cost, [show(each.cost) for each in found], numeric=True),
        Column(
            result.metric.title, [result.metric.show(each.row.mean) for each in found], numeric=True
        ),
        Column("combination", [short_label(each.row.levels) for each in found]),
        Column("on the front", [_status(each) for each in found]),
    ]
    return Group(table(columns, width), f"\n{_CAPTION}")


def _status(each: "FrontRow") -> str:
    from jcnn.analysis.labels import short_label

    if each.by is not None:
        return f"no: {short_label(each.by.levels)}"
    return "yes" if each.certain else "maybe"
