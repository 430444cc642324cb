"""The progress of a running study, on stderr."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jcnn.cli.formatting import count, duration
from jcnn.cli.tables import Column, table

if TYPE_CHECKING:
    from jcnn.study import Progress, Result, Study

# Below this many columns there is no room for bars.
_NARROW = 64
_BAR = 18
# Lines of the terminal that are not groups.
_OTHER_LINES = 6
# Seconds between two lines of progress where there is no terminal.
_SECONDS_PER_LINE = 5


def run_with_progress(study: "Study", out: Path, metric: str | None, quiet: bool) -> "Result":
    """Run a study with a live table in a terminal, lines of progress elsewhere, or silently."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        return study.run(out, metric=metric)
    if not console.is_terminal:
        return study.run(out, metric=metric, on_progress=_plain_lines())

    from rich.live import Live

    with Live(console=console, transient=True, auto_refresh=False) as live:

        def show(progress: "Progress") -> None:
            live.update(live_table(progress, console.width, console.height), refresh=True)

        return study.run(out, metric=metric, on_progress=show)


def live_table(progress: "Progress", width: int, height: int) -> Any:
    """Return the groups of runs that share a program, with their progress and best results."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    room = max(height - _OTHER_LINES, 3)
    shown = list(progress.groups)
    if len(shown) > room:
        labels = [group.label for group in shown]
        current = labels.index(progress.combination) if progress.combination in labels else 0
        first = min(max(current - room // 2, 0), len(shown) - room)
        shown = shown[first : first + room]
    bars = [ProgressBar(total=group.runs, completed=group.done, width=_BAR) for group in shown]
    current_mark = [">" if group.label == progress.combination else " " for group in shown]
    columns = [
        Column("", current_mark),
        Column("trained together", [group.label for group in shown]),
        *([Column("", bars)] if width >= _NARROW else []),
        Column("runs", [f"{int(group.done)}/{group.runs}" for group in shown], numeric=True),
        Column("best so far", [group.best for group in shown]),
    ]
    hidden = len(progress.groups) - len(shown)
    more = f"and {count(hidden, 'more group')}; " if hidden else ""
    return Group(table(columns, width), Text(f"\n{more}{_summary(progress)}"))


def _plain_lines() -> Callable[["Progress"], None]:
    last = 0.0

    def show(progress: "Progress") -> None:
        nonlocal last
        if progress.seconds - last < _SECONDS_PER_LINE or progress.runs_done >= _most(progress):
            return  # at the end the result follows
        last = progress.seconds
        print(f"{progress.combination}: {_summary(progress)}", file=sys.stderr, flush=True)

    return show


def _summary(progress: "Progress") -> str:
    """Return the runs done, the rate, the time, the time left, and the best result so far."""
    best = f", best so far {progress.best}" if progress.best else ""
    if progress.most_runs is None:
        return f"{count(int(progress.runs_done), 'run')}, {progress.seconds:.0f} s{best}"
    most, at_most = _most(progress), "at most " * (_most(progress) > progress.runs)
    done = f"{int(progress.runs_done)} of {at_most}{count(most, 'run')}"
    trained = progress.runs_done - progress.loaded
    if trained <= 0:
        return f"{done}, {progress.seconds:.0f} s{best}"
    rate = trained / max(progress.seconds, 1e-9)
    left = (most - progress.runs_done) / rate
    return (
        f"{done}, {rate:.1f} per second, {progress.seconds:.0f} s, "
        f"{at_most or 'about '}{duration(left)} left{best}"
    )


def _most(progress: "Progress") -> int:
    """Return the number of runs that are known to come, or the most that may come."""
    return max(progress.most_runs or 0, progress.runs)
