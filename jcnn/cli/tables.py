"""Tables in the terminal, at any width, without breaking a word or a number."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Spaces after each column.
_GAP = 2


class Column(NamedTuple):
    """A column of a table: cells are strings or Rich renderables with a width.

    Numeric columns are aligned to the right, and their cells are never wrapped.
    """

    head: str
    cells: Sequence[Any]
    numeric: bool = False


def console() -> "Console":
    """Return the console of standard output, which prints text as it is."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def table(columns: Sequence[Column], width: int) -> "RenderableType":
    """Return a table that fits into `width` terminal columns.

    Columns whose cells are all empty are left out. Text wraps at spaces only. If the longest words
    of all columns do not fit next to each other, each row becomes a block of lines `head cell`.
    """
    from rich.table import Table

    columns = [column for column in columns if any(column.cells) or not column.cells]
    least = [_least_width(column) for column in columns]
    room = width - _GAP * len(columns)
    if sum(least) > room:
        return _blocks(columns)
    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    widths = _fit(least, [_full_width(column) for column in columns], room)
    for column, column_width in zip(columns, widths, strict=True):
        drawn.add_column(
            _text(column.head),
            justify="right" if column.numeric else "left",
            width=column_width,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        drawn.add_row(*map(_text, row))
    return drawn


def _blocks(columns: Sequence[Column]) -> "RenderableType":
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=False)
    drawn.add_column(style="bold", min_width=max(_words_width(c.head) for c in columns))
    drawn.add_column(overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        if drawn.row_count:
            drawn.add_row("", "")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                drawn.add_row(_text(column.head), _text(cell))
    return drawn


def _fit(least: Sequence[int], full: Sequence[int], room: int) -> list[int]:
    """Return widths between `least` and `full` that use at most `room` in total.

    >>> _fit([3, 3, 3], [5, 20, 4], 16)
    [5, 7, 4]
    """
    widths, spare = list(least), room - sum(least)
    by_wish = sorted(range(len(least)), key=lambda i: full[i] - least[i])
    for served, i in enumerate(by_wish):
        extra = min(full[i] - least[i], spare // (len(by_wish) - served))
        widths[i] += extra
        spare -= extra
    return widths


def _least_width(column: Column) -> int:
    cell_width = _width if column.numeric else _words_width
    return max([_words_width(column.head), *map(cell_width, column.cells)])


def _full_width(column: Column) -> int:
    return max([_width(column.head), *map(_width, column.cells)])


def _words_width(cell: Any) -> int:
    """Return the width of a cell's longest word; renderables other than strings do not wrap."""
    from rich.cells import cell_len

    if isinstance(cell, str):
        return max(map(cell_len, cell.split()), default=0)
    return int(cell.width)


def _width(cell: Any) -> int:
    from rich.cells import cell_len

    return cell_len(cell) if isinstance(cell, str) else int(cell.width)


def _text(cell: Any) -> Any:
    """Return a string as text without markup."""
    from rich.text import Text

    return Text(cell) if isinstance(cell, str) else cell
