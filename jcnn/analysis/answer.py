"""The answer of a study: its findings, in numbers and in sentences."""

from dataclasses import dataclass
from functools import cached_property

from jcnn.analysis import text
from jcnn.analysis.effect_text import interaction_sentence
from jcnn.analysis.findings import Findings


@dataclass(frozen=True, eq=False)
class Answer(Findings):
    """What finished runs say by one metric; tables, text, report and JSON all read this object.

    >>> from jcnn.analysis.metric import at_end
    >>> from jcnn.analysis.records import RunRecord
    >>> from jcnn.engine import Outcome
    >>> values = {"max": (0.97, 0.98, 0.96, 0.97, 0.98), "avg": (0.91, 0.92, 0.90, 0.92, 0.91)}
    >>> records = [
    ...     RunRecord(i, 0.1, seed, Outcome({"validation_accuracy": [v]}, {"accuracy": v}))
    ...     for i, each in enumerate(values.values())
    ...     for seed, v in enumerate(each)
    ... ]
    >>> levels = [{"pooling": name} for name in values]
    >>> answer = Answer(levels, records, {}, at_end("accuracy", True))
    >>> answer.verdict
    'Use max (learning rate 0.1). It is better than avg (91.20%), which is ruled out.'
    """

    @cached_property
    def verdict(self) -> str:
        """What to use, what else may be the best, what that can cost, and what is ruled out."""
        return text.verdict(self)

    @cached_property
    def effect_sentences(self) -> tuple[str, ...]:
        """A sentence per factor; none if the metric is not tested."""
        return text.effect_sentences(self)

    @cached_property
    def interaction_sentences(self) -> tuple[str, ...]:
        """A sentence per interaction."""
        return tuple(interaction_sentence(each, self.metric) for each in self.interactions)

    @cached_property
    def outlook(self) -> str:
        """What more seeds would buy; empty if that cannot be said."""
        return text.outlook(self)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What readers of the ranking should know in addition to its numbers."""
        return text.remarks(self)
