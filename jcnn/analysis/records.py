"""One finished training, as analysis sees it."""

from dataclasses import dataclass

from jcnn.engine import Outcome


@dataclass(frozen=True)
class RunRecord:
    """One finished training: `combination` is an index into the study's combinations."""

    combination: int
    learning_rate: float
    seed: int
    outcome: Outcome
