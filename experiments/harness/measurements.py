"""What an experiment measures: figures, notes, and the studies behind them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jcnn.study import Result, Row, Study


class Measurements:
    """Figures by name, one value per seed, and notes that qualify them.

    If `directory` is given, studies are saved there and resumed from there.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.figures: dict[str, list[float]] = {}
        self.notes: list[str] = []
        self._directory = directory

    def add(self, figure: str, *values: float) -> None:
        """Append values to a figure."""
        self.figures.setdefault(figure, []).extend(float(value) for value in values)

    def add_accuracies(self, figure: str, row: Row) -> None:
        """Append the test accuracies of a combination; a diverged run counts as 0."""
        self.add(figure, *np.nan_to_num(row.values))

    def run(self, study: Study, name: str) -> Result:
        """Run a study's full grid; note failed combinations, and rates chosen at the edge."""
        study = replace(study, full_grid=True)
        print(f"  {name}: {study.runs} runs", flush=True)
        result = study.run(None if self._directory is None else self._directory / name)
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


def find_row(result: Result, **levels: str) -> Row:
    """Return the best row of the ranking that has these levels."""
    rows = result.ranking()
    return next(row for row in rows if all(row.levels[k] == v for k, v in levels.items()))


def learning_curves(result: Result, row: Row, name: str) -> np.ndarray:
    """Return the curves of a combination at its chosen learning rate, `(seeds, epochs)`."""
    return np.array([run.outcome.curves[name] for run in result.chosen(row)])


def steps_to_target(curves: np.ndarray, target: float, *, steps: int) -> Sequence[float]:
    """Return the step at which each curve first reaches `target`, at `steps` steps per epoch.

    A curve that never reaches it counts with all its steps, so ratios are lower bounds.
    """
    reached = curves >= target
    epochs = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, curves.shape[1])
    return [float(steps * epoch) for epoch in epochs]
