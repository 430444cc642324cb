"""What a report shows of networks beside their numbers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from jcnn.analysis.text import spelled
from jcnn.diagnosis import Diagnosis, MeanFieldPrediction
from jcnn.study.first_combination import diagnose_first, predict_first
from jcnn.study.inspect_model import Portrait, portrait

if TYPE_CHECKING:
    from jcnn.analysis.result import Result
    from jcnn.study.study import Study

# Examples of the batch that gradients are measured on.
_EXAMPLES = 128


class Look(NamedTuple):
    """The best network's portrait, and gradients before training of the best and the worst.

    `flows` maps combinations, as they are spelled, to what was measured and predicted; it is empty
    where the study's `diagnose` is off.
    """

    portrait: Portrait
    flows: Mapping[str, tuple[Diagnosis, MeanFieldPrediction]]


def look_into(study: "Study", result: "Result") -> Look:
    """Train the best combination of a study's result once more, and look at what it does.

    Raises UsageError where nothing was trained to the end.

    >>> from jcnn.study import Study
    >>> study = Study(factors={"activation": ["tanh"]}, learning_rates=[0.1], seeds=1, epochs=1)
    >>> look = look_into(study, study.run())
    >>> look.portrait.confusion().shape
    (10, 10)
    """
    found = portrait(study, result)
    rows = result.ranking()
    flows = {}
    if study.diagnose is not None:
        for row in rows[:1] + rows[-1:] if len(rows) > 1 else rows:
            levels = study.combinations[row.combination].levels
            only = replace(study, factors={name: {own.name: own.value} for name, own in levels})
            flows[spelled(row)] = (
                diagnose_first(only, examples=_EXAMPLES),
                predict_first(only, examples=_EXAMPLES),
            )
    return Look(found, flows)
