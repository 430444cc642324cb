"""The result of a study: its finished runs, how they were made, and the answer that they give."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from jcnn import strict_json
from jcnn.analysis.answer import Answer
from jcnn.analysis.frames import table_rows
from jcnn.analysis.metric import Metric, at_end, parse_metric
from jcnn.analysis.notebook import to_html
from jcnn.analysis.pareto import FrontRow
from jcnn.analysis.ranking import Row
from jcnn.analysis.records import RunRecord
from jcnn.analysis.spread import Comparison
from jcnn.diagnosis.history import LayerHistory, StepDiagnosis, average_histories
from jcnn.errors import UsageError, nearest


@dataclass(frozen=True, eq=False)
class Result:
    """The runs of a study, and what follows from them.

    `study` holds the settings as the study file has them; `task_metric` is the task's main metric.
    `form` is the metric that ranks the runs (see `by`), by default `task_metric` on the test set.
    `notes` say what did not go as planned; `failures` map the indices of combinations that could
    not be trained to the reason. `costs` has "parameters" and "flops" (operations of a forward pass
    per example) with a number per combination, NaN if it is unknown. `answer` has everything that
    the runs say, computed once. `stopped_rates` are the combinations and learning rates that were
    trained for a part of the epochs only (`halving_epochs`). `metrics` are all metrics of the task,
    and whether larger values are better. `trainer` trains the best combination once more (see
    `best_model`).

    >>> from jcnn.engine import Outcome
    >>> outcomes = [Outcome({"validation_accuracy": [v]}, {"accuracy": v}) for v in (0.8, 0.9)]
    >>> records = [RunRecord(i, 0.1, 0, outcome) for i, outcome in enumerate(outcomes)]
    >>> result = Result({}, "accuracy", True, [{"pooling": "max"}, {"pooling": "avg"}], records)
    >>> [(row.levels["pooling"], row.mean) for row in result.ranking()]
    [('avg', 0.9), ('max', 0.8)]
    """

    study: Mapping[str, Any]
    task_metric: str
    higher_is_better: bool
    combinations: Sequence[Mapping[str, str]]
    records: Sequence[RunRecord] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    failures: Mapping[int, str] = field(default_factory=dict)
    test_examples: int = 0
    form: str | None = None
    costs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    stopped_rates: Sequence[tuple[int, float]] = ()
    metrics: Mapping[str, bool] = field(default_factory=dict)
    trainer: Callable[..., Any] | None = field(default=None, repr=False)

    @cached_property
    def metric(self) -> Metric:
        """The metric that ranks the runs."""
        if self.form is None:
            return at_end(self.task_metric, self.higher_is_better)
        return parse_metric(self.form, self.task_metric, self.higher_is_better, self.metrics)

    @cached_property
    def answer(self) -> Answer:
        """Ranking, what may be the best, effects, interactions and verdict."""
        return Answer(
            self.combinations,
            self.records,
            self.failures,
            self.metric,
            self.test_examples,
            stopped_rates=self.stopped_rates,
            by_task_metric=self.metric.name == self.task_metric,
            raced=not self.study.get("full_grid", True),  # as all studies were before races
        )

    def by(self, form: str) -> "Result":
        """The same runs ranked by another metric: "steps:0.9", "area", "diverged", "loss".

        Raises UsageError if `form` is not one of `jcnn.analysis.metric.FORMS`.
        """
        parse_metric(form, self.task_metric, self.higher_is_better, self.metrics)
        return replace(self, form=form)

    def ranking(self) -> list[Row]:
        """The combinations from best to worst by mean test metric at the chosen learning rate.

        The learning rate of a combination is the one with the best mean validation metric after the
        last epoch over seeds (the smaller rate on a tie). A rate at which a run diverged is chosen
        only if every rate has a diverged run.
        """
        return list(self.answer.rows)

    def by_point(self) -> list[Row | None]:
        """The combinations in the study's order, as `points` has them; None if one was not trained.

        For optimizers that ask for points and are told their values.
        """
        rows = {row.combination: row for row in self.answer.rows}
        return [rows.get(index) for index in range(len(self.combinations))]

    def may_be_best(self) -> list[Row]:
        """The combinations that are not ruled out, in the order of the ranking.

        A combination is ruled out if another one is better by more than chance, with at least 5
        seeds (`jcnn.analysis.could_be_best`).
        """
        return [row for row in self.answer.rows if row.combination not in self.answer.ruled_out]

    def front(self, cost: str) -> list[FrontRow]:
        """The combinations by cost, and which are on the Pareto front of the metric and that cost.

        `cost` is "parameters", "flops" (operations of a forward pass per example) or "seconds" (the
        mean time of a training, in which other combinations may have had a part).

        Raises UsageError for any other cost, and if it is unknown for every combination.
        """
        costs = {**self.costs, "seconds": self._seconds()}
        if cost not in costs:
            raise nearest("cost", cost, [*costs])
        found = self.answer.front(costs[cost])
        if not found and self.answer.rows:
            raise UsageError(f"{cost} are unknown, or {self.metric.title} is not compared")
        return found

    @property
    def bound(self) -> float:
        """What choosing the first combination can cost: the most that another can exceed it by.

        NaN with fewer than three seeds, or if the metric is not tested.
        """
        return self.answer.bound

    def comparisons(self, baseline: Mapping[str, str]) -> list[Comparison]:
        """Each combination (the baseline too) against `baseline`, in the order of the ranking.

        `baseline` maps factors to levels. Differences are positive if the combination is better
        than the baseline; their intervals and p-values are corrected for all of them together.

        Raises UsageError if `baseline` does not name exactly one combination.
        """
        return self.answer.compare_with(baseline)

    def noise_floor(self, row: Row) -> float:
        """The spread that independent errors on the test examples alone cause; see `Answer`."""
        return self.answer.noise_floor(row)

    def verdict(self) -> str:
        """What to use, what else may be the best, what that can cost, and what is ruled out."""
        return self.answer.verdict

    def effects(self) -> list[str]:
        """A sentence per factor: what its levels gain over each other, and where.

        All gains of a study are judged as one family, so that the probability of any false "beats"
        is at most 5%.
        """
        return list(self.answer.effect_sentences)

    def interactions(self) -> list[str]:
        """A sentence per pair of levels whose difference depends on another factor's level.

        Only those that are more than chance, judged together with the effects.
        """
        return list(self.answer.interaction_sentences)

    def best_model(self, *, seed: int | None = None, with_validation: bool = False) -> Any:
        """Return the network of the best combination, with its weights: a `TrainedModel`.

        It is trained once more, or loaded if its weights are in the study's directory; see
        `jcnn.study.best_model`, and `jcnn.export.TrainedModel` for its use and its files.

        Raises UsageError if the result does not know its study.
        """
        if self.trainer is None:
            raise UsageError(
                "this result does not know its study; call jcnn.study.best_model(study, result)"
            )
        return self.trainer(self, seed=seed, with_validation=with_validation)

    def curves(self) -> list[dict[str, Any]]:
        """The curves of every run: its levels, rate and seed, and each metric per epoch."""
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

    def rows(self, per: str = "run") -> list[dict[str, Any]]:
        """Rows of a table, per run or per "epoch" of each run: what data frames are made of.

        See `jcnn.analysis.frames.table_rows` for the columns. `to_pandas` returns a data frame, and
        `polars.DataFrame(result.rows())` one of Polars.
        """
        return table_rows(self.combinations, self.records, per)

    def to_pandas(self, per: str = "run") -> Any:
        """Return the `rows` as a `pandas.DataFrame`. Raises UsageError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self.rows(per))

    def why(self, row: Row) -> list[StepDiagnosis]:
        """What was wrong with a combination's layers at its chosen learning rate, step by step."""
        history = self.history(row)
        return [] if history is None else history.diagnose()

    def history(self, row: Row) -> LayerHistory | None:
        """Return the history of a combination's layers at its chosen rate, averaged over seeds.

        None if the layers were not measured (the study's `diagnose` was off).
        """
        histories = [record.outcome.history for record in self.chosen(row)]
        measured = [history for history in histories if history is not None]
        return average_histories(measured) if measured else None

    def _seconds(self) -> list[float]:
        """The mean seconds of a combination's trainings, to the two digits that repeat."""
        seconds: list[list[float]] = [[] for _ in self.combinations]
        for record in self.records:
            seconds[record.combination].append(record.outcome.seconds)
        return [float(f"{sum(each) / len(each):.2g}") if each else math.nan for each in seconds]

    def chosen(self, row: Row) -> list[RunRecord]:
        """The runs of a combination at its chosen learning rate, one per seed."""
        return [
            record
            for record in self.records
            if record.combination == row.combination
            and record.learning_rate == row.learning_rate
            and record.combination not in self.failures
        ]

    def to_json(self, *, provenance: bool = True) -> str:
        """Everything, as strict JSON: a number that is not finite is null.

        Without `provenance` (versions, times, notes) the same runs give the same bytes.
        """
        answer = self.answer
        made = {"environment": self.environment, "notes": self.notes} if provenance else {}
        content = {
            "study": dict(self.study),
            **made,
            "metric": self.metric.name,
            "higher_is_better": self.metric.higher_is_better,
            "test_examples": self.test_examples,
            "combinations": [dict(levels) for levels in self.combinations],
            "costs": {name: list(values) for name, values in self.costs.items()},
            "ranking": [self._row_content(row) for row in answer.rows],
            "bound": answer.bound,
            "verdict": answer.verdict,
            "outlook": answer.outlook,
            "effects": answer.effect_sentences,
            "gains": [gain._asdict() for gain in answer.family.gains],
            "interactions": answer.interaction_sentences,
            "metrics": dict(self.metrics),
            "stopped_rates": [list(pair) for pair in self.stopped_rates],
            "failures": [
                {"levels": dict(self.combinations[index]), "reason": reason}
                for index, reason in self.failures.items()
            ],
            "runs": [_run_content(record, provenance) for record in self.records],
        }
        return strict_json.dumps(content)

    def _row_content(self, row: Row) -> dict[str, Any]:
        answer = self.answer
        content = asdict(row) | {
            "interquartile_mean": row.interquartile_mean,
            "noise_floor": answer.noise_floor(row),
            "may_be_best": row.combination not in answer.ruled_out,
            "may_exceed_first_by": answer.may_exceed(row),
            "p_best": answer.p_best(row),
        }
        why = self.why(row)
        return content | ({"why": why} if why else {})

    def _repr_html_(self) -> str:
        """What a notebook shows: the answer, and the ranking as a table."""
        return to_html(self.answer)


def _run_content(record: RunRecord, provenance: bool) -> dict[str, Any]:
    content = asdict(record)
    if not provenance:
        del content["outcome"]["seconds"]
    return content
