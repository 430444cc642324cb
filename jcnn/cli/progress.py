"""How far a running study is, on stderr."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jcnn.study import Progress, Result, Study


def run_with_progress(study: "Study", out: Path, metric: str | None, quiet: bool) -> "Result":
    """Run a study: with a bar in a terminal, a line now and then elsewhere, or quietly."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet:
        return study.run(out, metric=metric)
    if not console.is_terminal:
        return study.run(out, metric=metric, on_progress=_plain_lines())

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}  {task.description}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("compiling", total=study.runs, left="")

        def show(at: "Progress") -> None:
            best = f", best so far {at.best}" if at.best else ""
            bar.update(
                task,
                completed=int(at.runs_done),
                description=f"{at.combination}{best}",
                left=f"{_left(at):.0f} s left",
            )

        return study.run(out, metric=metric, on_progress=show)


def _plain_lines() -> Callable[["Progress"], None]:
    last = 0.0

    def show(at: "Progress") -> None:
        nonlocal last
        if at.seconds - last < 5 or at.runs_done >= at.runs:
            return  # the result follows
        last = at.seconds
        best = f", best so far {at.best}" if at.best else ""
        print(
            f"{at.combination}: {int(at.runs_done)} of {at.runs} runs, {at.seconds:.0f} s, "
            f"about {_left(at):.0f} s left{best}",
            file=sys.stderr,
            flush=True,
        )

    return show


def _left(at: "Progress") -> float:
    return at.seconds / max(at.runs_done, 1e-9) * (at.runs - at.runs_done)
