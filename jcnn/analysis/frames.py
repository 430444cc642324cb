"""A result's runs as tables: a row per run, or a row per run and epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from jcnn.analysis.records import RunRecord
from jcnn.errors import UsageError

PER = ("run", "epoch")


def table_rows(
    combinations: Sequence[Mapping[str, str]], records: Sequence[RunRecord], per: str
) -> list[dict[str, Any]]:
    """Return the rows of a table: factors, rate, seed, and what was measured.

    Per run: `diverged_at` (None if the run did not diverge), `best_epoch` (None without early
    stopping), `steps`, `seconds`, `test_<metric>`, and the final values of `train_<metric>` and
    `validation_<metric>`. Per epoch that was trained: `epoch`, counted from 1, and the values of
    that epoch. Levels that are numbers for all combinations are numbers.

    Raises UsageError if `per` is neither "run" nor "epoch".

    >>> from jcnn.engine import Outcome
    >>> outcome = Outcome({"train_loss": [2.0, 1.0]}, {"loss": 1.5}, steps=10)
    >>> records = [RunRecord(0, 0.1, 0, outcome)]
    >>> [row["train_loss"] for row in table_rows([{"depth": "2"}], records, "epoch")]
    [2.0, 1.0]
    """
    if per not in PER:
        raise UsageError(f"per={per!r}; expected {' or '.join(map(repr, PER))}")
    levels = _numeric(combinations)
    rows = []
    for record in records:
        own, curves = levels[record.combination], record.outcome.curves
        if per == "run":
            ends = {name: record.outcome.final(name) for name in curves}
            rows.append(run_row(own, record) | ends)
            continue
        rows += [
            own
            | {"learning_rate": record.learning_rate, "seed": record.seed, "epoch": epoch + 1}
            | {name: curve[epoch] for name, curve in curves.items()}
            for epoch in range(trained_epochs(record))
        ]
    return rows


def run_row(levels: Mapping[str, Any], record: RunRecord) -> dict[str, Any]:
    """Return the row of a run without its curves.

    >>> from jcnn.engine import Outcome
    >>> run_row({"depth": 2}, RunRecord(0, 0.1, 3, Outcome(test={"loss": 1.5})))["test_loss"]
    1.5
    """
    outcome = record.outcome
    return {
        **levels,
        "learning_rate": record.learning_rate,
        "seed": record.seed,
        "diverged_at": outcome.diverged_at,
        "best_epoch": outcome.best_epoch,
        "steps": outcome.steps,
        "seconds": outcome.seconds,
        **{f"test_{name}": value for name, value in outcome.test.items()},
    }


def trained_epochs(record: RunRecord) -> int:
    """Return the number of epochs in which a run trained, or had diverged.

    >>> from jcnn.engine import Outcome
    >>> trained_epochs(RunRecord(0, 0.1, 3, Outcome({"train_loss": [2.0, 1.0, 2.0]}, epochs=2)))
    2
    """
    longest = max(map(len, record.outcome.curves.values()), default=0)
    return longest if record.outcome.epochs is None else record.outcome.epochs


def _numeric(combinations: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The levels, as numbers where every level of a factor is one."""
    columns: dict[str, list[Any]] = {}
    for factor in combinations[0] if combinations else {}:
        names = [levels[factor] for levels in combinations]
        columns[factor] = next(
            (found for kind in (int, float) if (found := _as(kind, names)) is not None), names
        )
    return [
        {factor: values[i] for factor, values in columns.items()} for i in range(len(combinations))
    ]


def _as(kind: type[int] | type[float], names: Sequence[str]) -> list[Any] | None:
    try:
        return [kind(name) for name in names]
    except ValueError:
        return None
