"""How far a running study is, on stderr."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn.cli.interruption import hear

if TYPE_CHECKING:
    from jcnn.study import Progress, Result, Study

# Below this many columns there is no room for bars.
_NARROW = 64
_BAR = 18
# What of a terminal's lines is left to the rest.
_OTHER_LINES = 6


def run_with_progress(study: "Study", out: Path, metric: str | None, quiet: bool) -> "Result":
    """Run a study: with a live table in a terminal, a line now and then elsewhere, or quietly."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        return study.run(out, metric=metric, on_progress=lambda _: hear())
    if not console.is_terminal:
        return study.run(out, metric=metric, on_progress=_plain_lines())

    from rich.live import Live

    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(at: "Progress") -> None:
            hear()
            live.update(live_table(at, console.width, console.height), refresh=True)

        return study.run(out, metric=metric, on_progress=show)


def live_table(at: "Progress", width: int, height: int) -> Any:
    """What is trained, in groups that share a program: how far each is, and its best so far."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    wide = width >= _NARROW
    for head, justify in (("trained together", "left"), *((("", "left"),) if wide else ())):
        table.add_column(head, justify=justify, overflow="fold")
    table.add_column("runs", justify="right")
    table.add_column("best so far", overflow="fold")
    room = max(height - _OTHER_LINES, 3)
    shown = at.groups
    if len(shown) > room:
        here = next((i for i, one in enumerate(shown) if one.label == at.combination), 0)
        first = min(max(here - room // 2, 0), len(shown) - room)
        shown = shown[first : first + room]
    for one in shown:
        bar = [ProgressBar(total=one.runs, completed=one.done, width=_BAR)] if wide else []
        now = one.label == at.combination
        label = Text(one.label, style="bold" if now else "")
        table.add_row(label, *bar, f"{int(one.done)}/{one.runs}", Text(one.best))
    hidden = len(at.groups) - len(shown)
    more = f"and {hidden} more groups; " if hidden else ""
    return Group(table, Text(f"\n{more}{_whole(at)}"))


def _plain_lines() -> Callable[["Progress"], None]:
    last = 0.0

    def show(at: "Progress") -> None:
        nonlocal last
        hear()
        if at.seconds - last < 5 or at.runs_done >= at.runs:
            return  # the result follows
        last = at.seconds
        print(f"{at.combination}: {_whole(at)}", file=sys.stderr, flush=True)

    return show


def _whole(at: "Progress") -> str:
    """All of it: how many, how fast, how long yet, and the best so far."""
    best = f", best so far {at.best}" if at.best else ""
    trained = at.runs_done - at.found
    if trained <= 0:
        return f"{int(at.runs_done)} of {at.runs} runs, {at.seconds:.0f} s{best}"
    rate = trained / max(at.seconds, 1e-9)
    left = (at.runs - at.runs_done) / rate
    return (
        f"{int(at.runs_done)} of {at.runs} runs, {rate:.1f} a second, {at.seconds:.0f} s, about "
        f"{left:.0f} s left{best}"
    )
