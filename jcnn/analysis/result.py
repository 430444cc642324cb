"""What a study found: runs, the ranking at each combination's chosen rate, and effects in text."""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jcnn import strict_json
from jcnn.analysis import text
from jcnn.analysis.baseline import only_match
from jcnn.analysis.interactions import interactions, sentence
from jcnn.analysis.metric import Measure, at_end, measure
from jcnn.analysis.ranking import Row, RunRecord, rate_beyond, row_of
from jcnn.analysis.statistics import (
    Comparison,
    compare,
    independent_errors,
)
from jcnn.diagnosis.history import LayerHistory, StepDiagnosis, average_histories


@dataclass
class Result:
    """The runs of a study, and what follows from them.

    `notes` say what was not as planned; `failures` map the indices of combinations that could not
    be trained to the reason.

    >>> from jcnn.engine import Outcome
    >>> reached = [Outcome({"validation_accuracy": [v]}, {"accuracy": v}) for v in (0.8, 0.9)]
    >>> records = [RunRecord(i, 0.1, 0, outcome) for i, outcome in enumerate(reached)]
    >>> found = Result({}, "accuracy", True, [{"pooling": "max"}, {"pooling": "avg"}], records)
    >>> [(row.levels["pooling"], row.mean) for row in found.ranking()]
    [('avg', 0.9), ('max', 0.8)]
    """

    study: Mapping[str, Any]
    metric: str
    higher_is_better: bool
    combinations: Sequence[Mapping[str, str]]
    records: list[RunRecord] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)
    test_examples: int = 0
    measure: Measure = field(init=False)

    def __post_init__(self) -> None:
        """Judge by the task's own metric, on the test set."""
        self.measure = at_end(self.metric, self.higher_is_better)

    def by(self, form: str) -> "Result":
        """The same runs judged by something else: "steps:0.9", "area", "diverged", "loss".

        Raises UsageError for what is none of `jcnn.analysis.metric.FORMS`.
        """
        found = replace(self)
        found.measure = measure(form, self.metric, self.higher_is_better)
        return found

    def ranking(self) -> list[Row]:
        """Combinations from best to worst by mean test metric at the chosen learning rate.

        The rate of a combination is the one with the best mean validation metric at the last
        epoch over seeds (the smaller rate at a tie); a rate at which a run diverged is chosen only
        where all have one.
        """
        rows = [
            row_of(index, levels, records, self.measure)
            for index, levels in enumerate(self.combinations)
            if (records := self._of(index))
        ]
        return sorted(rows, key=lambda row: self.measure.badness(row.mean))

    def curves(self) -> list[dict[str, Any]]:
        """Every run's curves: its levels, rate and seed, and one value per epoch of each metric."""
        return [
            {
                **self.combinations[record.combination],
                "learning_rate": record.learning_rate,
                "seed": record.seed,
                "diverged_at": record.outcome.diverged_at,
                **record.outcome.curves,
            }
            for record in self.records
        ]

    def comparisons(self, baseline: Mapping[str, str] | None = None) -> list[Comparison]:
        """The best combination against each other one, in the order of the ranking; or, with the
        levels of a `baseline`, each combination (the baseline too) against that.

        Differences are paired over seeds and positive where the first is better. The correction
        counts all pairs of combinations for the best, which was found by looking, and all but one
        for a baseline.

        Raises ValueError where `baseline` does not name one combination.
        """
        rows = self.ranking()
        sign = 1 if self.measure.higher_is_better else -1
        values = [[sign * value for value in row.values] for row in rows]
        if baseline is None:
            count = len(rows) * (len(rows) - 1) // 2
            return compare([(values[0], other) for other in values[1:]], family=count)
        index = only_match(self.combinations, baseline)
        place = [row.combination for row in rows].index(index)
        found = compare(
            [(mine, values[place]) for i, mine in enumerate(values) if i != place],
            family=len(rows) - 1,
        )
        return [*found[:place], *compare([(values[place],) * 2]), *found[place:]]

    def noise_floor(self, row: Row) -> float:
        """The spread that independent errors on the test set's examples alone give an accuracy.

        `sqrt(p (1 - p) / n)` for accuracy p over n examples; NaN for other measures. Where seeds
        spread no more, a gap well below it is about these examples, however many seeds there are.
        """
        if self.measure.name != "accuracy" or not self.test_examples:
            return math.nan
        return independent_errors(row.mean, self.test_examples)

    def verdict(self) -> str:
        """A sentence: which combination is best, and which cannot be told from it."""
        return text.verdict(self) if self.measure.tested else text.untested(self)

    def effects(self) -> list[str]:
        """A sentence a factor: its levels, averaged over the other factors, with paired tests."""
        if not self.measure.tested:
            return []
        rows = self.ranking()
        return [text.effect(self, factor, rows) for factor in self.varied()]

    def varied(self) -> list[str]:
        """The factors that have more than one level."""
        return [
            factor
            for factor in (self.combinations[0] if self.combinations else {})
            if len({levels[factor] for levels in self.combinations}) > 1
        ]

    def interactions(self) -> list[str]:
        """A sentence for each pair of levels whose difference depends on another factor's level.

        Only what is real by paired tests, Holm-corrected over all such contrasts of the study.
        """
        return [sentence(self, one) for one in interactions(self)] if self.measure.tested else []

    def why(self, row: Row) -> list[StepDiagnosis]:
        """Return what was wrong with a combination at its chosen learning rate, step by step."""
        history = self.history(row)
        return [] if history is None else history.diagnose()

    def history(self, row: Row) -> LayerHistory | None:
        """Return the history of a combination's layers at its chosen rate, averaged over seeds.

        None if the layers were not measured (the study's `diagnose` was off).
        """
        histories = [record.outcome.history for record in self.chosen(row)]
        measured = [history for history in histories if history is not None]
        return average_histories(measured) if measured else None

    def chosen(self, row: Row) -> list[RunRecord]:
        """The runs of a combination at its chosen rate, one a seed."""
        return [
            record
            for record in self._of(row.combination)
            if record.learning_rate == row.learning_rate
        ]

    def rates_beyond(self) -> dict[int, float]:
        """For each combination whose best rate is the least or greatest tried, one beyond it."""
        beyond = {row.combination: rate_beyond(row) for row in self.ranking()}
        return {combination: rate for combination, rate in beyond.items() if rate is not None}

    def to_json(self, *, provenance: bool = True) -> str:
        """Everything, as strict JSON: a number that is not finite is null.

        Without `provenance` (versions, times, notes) the same runs give the same bytes.
        """
        told = {"environment": self.environment, "notes": self.notes} if provenance else {}
        content = {
            "study": dict(self.study),
            **told,
            "metric": self.measure.name,
            "higher_is_better": self.measure.higher_is_better,
            "test_examples": self.test_examples,
            "combinations": [dict(levels) for levels in self.combinations],
            "ranking": [
                asdict(row)
                | {
                    "interval": row.interval,
                    "interquartile_mean": row.interquartile_mean,
                    "noise_floor": self.noise_floor(row),
                }
                | ({"why": why} if (why := self.why(row)) else {})
                for row in self.ranking()
            ],
            "verdict": self.verdict(),
            "comparisons": [
                one._asdict() | {"seeds_needed": one.seeds_needed} for one in self.comparisons()
            ],
            "effects": self.effects(),
            "interactions": self.interactions(),
            "failures": [
                {"levels": dict(self.combinations[index]), "reason": reason}
                for index, reason in self.failures.items()
            ],
            "runs": [_told(record, provenance) for record in self.records],
        }
        return strict_json.dumps(content)

    def plot_ranking(self, **options: Any) -> Any:
        """The ranking as a matplotlib figure: see `jcnn.report.plot_ranking`."""
        return _report().plot_ranking(self, **options)

    def write_report(self, path: str, look: Any = None) -> None:
        """The result as a page: see `jcnn.report.write_report`."""
        _report().write_report(self, path, look)

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer, and the ranking as a table."""
        return str(_report().notebook(self))

    def _of(self, combination: int) -> list[RunRecord]:
        if combination in self.failures:
            return []
        return [record for record in self.records if record.combination == combination]


def _report() -> Any:
    # Figures stand above studies and know of them; a result knows of figures by name alone.
    return importlib.import_module("jcnn.report")


def _told(record: RunRecord, provenance: bool) -> dict[str, Any]:
    told = asdict(record)
    if not provenance:
        del told["outcome"]["seconds"]
    return told
