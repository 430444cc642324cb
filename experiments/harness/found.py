"""What an experiment measures on its way: figures, notes, and studies that may be kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jcnn.study import Result, Row, Study


class Found:
    """Figures by name, one value a seed, and notes on what should be known of them.

    With `directory`, studies are kept there, so that what was trained is not trained again.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.figures: dict[str, list[float]] = {}
        self.notes: list[str] = []
        self._directory = directory

    def add(self, figure: str, *values: float) -> None:
        """Further values of a figure."""
        self.figures.setdefault(figure, []).extend(float(value) for value in values)

    def accuracies(self, figure: str, row: Row) -> None:
        """A combination's test accuracies, in which a run that diverged counts as 0."""
        self.add(figure, *np.nan_to_num(row.values))

    def run(self, study: Study, name: str) -> Result:
        """Run a study; a learning rate chosen at the edge of those tried is noted."""
        print(f"  {name}: {study.runs} runs", flush=True)
        kept = None if self._directory is None else self._directory / name
        result = study.run(kept)
        self.notes += result.notes
        for row in result.ranking():
            if row.at_edge:
                levels = ", ".join(row.levels.values())
                rates = f"{min(row.by_rate):g} to {max(row.by_rate):g}"
                self.notes.append(
                    f"{name}, {levels}: the best rate, {row.learning_rate:g}, is at the edge of "
                    f"those tried ({rates})"
                )
        for index, reason in result.failures.items():
            levels = ", ".join(result.combinations[index].values())
            self.notes.append(f"{name}, {levels}: not trained: {reason}")
        return result


def row_of(result: Result, **levels: str) -> Row:
    """The best row of the ranking that has these levels."""
    rows = result.ranking()
    return next(row for row in rows if all(row.levels[k] == v for k, v in levels.items()))


def curve(result: Result, row: Row, name: str) -> np.ndarray:
    """A combination's curves at its chosen rate, `(seeds, epochs)`."""
    return np.array([run.outcome.curves[name] for run in result.chosen(row)])


def first_at(curves: np.ndarray, target: float, *, steps: int) -> Sequence[float]:
    """At which step each curve (a row; `steps` an epoch) first reaches `target`.

    One that never does counts with all its steps, so that ratios are bounds from below.
    """
    reached = curves >= target
    epochs = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, curves.shape[1])
    return [float(steps * epoch) for epoch in epochs]
