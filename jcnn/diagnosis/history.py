"""The history of a network's layers over a training: figures at some steps, and what was wrong."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from jcnn.diagnosis.diagnosis import gradient_ratio
from jcnn.diagnosis.layer_report import LayerInfo, LayerReport
from jcnn.diagnosis.verdicts import Verdict, verdicts

# Numbers by step, then by layer.
Rows = Sequence[Sequence[float]]
# The figures that a history holds; see `jcnn.diagnosis.LayerReport`.
FIGURES = ("std", "saturated", "dead", "gradient", "update_ratio")


class StepDiagnosis(NamedTuple):
    """What was wrong with a network at one step of its training, and the figures that show it.

    `gradient_ratio` is |dL/dh| of the first layer over that of the last hidden one; `saturated` and
    `dead` are the greatest shares of any layer, NaN if no layer can saturate or die.
    """

    step: int
    verdicts: Sequence[Verdict]
    gradient_ratio: float
    saturated: float
    dead: float

    @property
    def verdict(self) -> str:
        """The most specific fault with the layer where it starts, or "healthy"."""
        if not self.verdicts:
            return "healthy"
        return f"{self.verdicts[0].kind} at {self.verdicts[0].layer}"


@dataclass(frozen=True, kw_only=True)
class LayerHistory:
    """Figures of every layer, measured at some steps of a training.

    `layers` and `activations` are the layers' names and those of the activations after them (None:
    none), `steps` the steps before which was measured. Of each figure, `gradient[i][j]` is that of
    layer `j` at `steps[i]`, as in `jcnn.diagnosis.LayerReport`; NaN if the layer has no such figure
    or the run had diverged. `reads`, `ends`, `cut_off` and `usually_saturated` are what is known of
    each layer before training, as in `jcnn.diagnosis.LayerInfo`; without them, layers are a chain.

    >>> history = LayerHistory(layers=["conv", "dense"], activations=["relu", None])
    >>> history = history.extended([0], {name: [[0.1, 0.2]] for name in FIGURES})
    >>> [(one.step, one.verdict, one.gradient_ratio) for one in history.diagnose()]
    [(0, 'healthy', 1.0)]
    """

    layers: Sequence[str]
    activations: Sequence[str | None]
    reads: Sequence[Sequence[int]] = ()
    ends: Sequence[bool] = ()
    cut_off: Sequence[str] = ()
    usually_saturated: Sequence[float] = ()
    steps: Sequence[int] = ()
    std: Rows = ()
    saturated: Rows = ()
    dead: Rows = ()
    gradient: Rows = ()
    update_ratio: Rows = ()

    def rows(self) -> list[dict[str, float]]:
        """Return the figures at each step by name and layer; what is NaN is left out.

        >>> history = LayerHistory(layers=["conv"], activations=[None])
        >>> history.extended([0], {name: [[0.5]] for name in FIGURES}).rows()[0]["gradient/conv"]
        0.5
        """
        return [
            {
                f"{name}/{layer}": value
                for name in FIGURES
                for layer, value in zip(self.layers, getattr(self, name)[i], strict=True)
                if not math.isnan(value)
            }
            for i in range(len(self.steps))
        ]

    def extended(self, steps: Sequence[int], rows: Mapping[str, Rows]) -> "LayerHistory":
        """Return the history with further steps, and the rows of each figure at them."""
        return replace(
            self,
            steps=[*self.steps, *steps],
            **{name: [*getattr(self, name), *rows[name]] for name in FIGURES},
        )

    def diagnose(self) -> list[StepDiagnosis]:
        """Return the diagnosis at each step, up to where the run diverged."""
        reached = itertools.takewhile(
            lambda i: not all(math.isnan(value) for value in self.std[i]), range(len(self.steps))
        )
        return [self.at(i) for i in reached]

    def at(self, i: int) -> StepDiagnosis:
        """Return the diagnosis at the `i`-th of the `steps`."""
        return StepDiagnosis(
            step=self.steps[i],
            verdicts=verdicts([self._report(i, j) for j in range(len(self.layers))]),
            gradient_ratio=gradient_ratio(self.gradient[i]),
            saturated=_greatest(self.saturated[i]),
            dead=_greatest(self.dead[i]),
        )

    def _report(self, i: int, j: int) -> LayerReport:
        """The figures of layer `j` at the `i`-th step, for the verdicts."""
        known: dict[str, Any] = {}
        if self.reads:
            known = {
                "reads": tuple(self.reads[j]),
                "is_end": self.ends[j],
                "cut_off": self.cut_off[j],
                "usually_saturated": self.usually_saturated[j],
            }
        return LayerReport(
            name=self.layers[j],
            activation=self.activations[j],
            **known,
            # A gradient that is 0 now and not at another step is not lost.
            off_at_start=self.gradient[i][j] == 0 and any(row[j] > 0 for row in self.gradient),
            std=self.std[i][j],
            saturated=self.saturated[i][j],
            dead=self.dead[i][j],
            gradient=self.gradient[i][j],
            update=self.update_ratio[i][j],
            update_ratio=self.update_ratio[i][j],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LayerHistory":
        """Return the history of such a dictionary; null stands for NaN.

        Raises KeyError, TypeError or ValueError if it is not one.
        """
        figures = {
            name: [[math.nan if v is None else float(v) for v in row] for row in content[name]]
            for name in FIGURES
        }
        return cls(
            layers=[str(name) for name in content["layers"]],
            activations=[None if name is None else str(name) for name in content["activations"]],
            reads=[[int(index) for index in read] for read in content.get("reads", ())] or (),
            ends=[bool(end) for end in content.get("ends", ())] or (),
            cut_off=[str(reason) for reason in content.get("cut_off", ())] or (),
            usually_saturated=[float(share) for share in content.get("usually_saturated", ())]
            or (),
            steps=[int(step) for step in content["steps"]],
            **figures,
        )


def known_facts(layers: Sequence[LayerInfo]) -> dict[str, Any]:
    """Return the fields of a history that are known before any batch.

    >>> known_facts([LayerInfo(name="dense", activation="relu")])["activations"]
    ['relu']
    """
    return {
        "activations": [layer.activation for layer in layers],
        "reads": [list(layer.reads or ()) for layer in layers],
        "ends": [layer.is_end for layer in layers],
        "cut_off": [layer.cut_off for layer in layers],
        "usually_saturated": [layer.usually_saturated for layer in layers],
    }


def average_histories(histories: Sequence[LayerHistory]) -> LayerHistory:
    """Return the history of several runs of one combination as one.

    Figures are means over the runs, geometric ones of gradients; a run counts up to where it
    diverged or stopped early.

    >>> figures = {name: [[1.0]] for name in FIGURES}
    >>> weak, strong = (
    ...     LayerHistory(layers=["dense"], activations=[None], steps=[0], **{**figures, **changed})
    ...     for changed in ({}, {"gradient": [[100.0]]})
    ... )
    >>> round(average_histories([weak, strong]).gradient[0][0], 6)
    10.0
    """
    longest = max(histories, key=lambda history: len(history.steps))

    def mean_of(name: str, i: int, j: int) -> float:
        rows = [getattr(history, name) for history in histories if i < len(history.steps)]
        return _mean([each[i][j] for each in rows], name == "gradient")

    means: dict[str, Any] = {
        name: [
            [mean_of(name, i, j) for j in range(len(longest.layers))]
            for i in range(len(longest.steps))
        ]
        for name in FIGURES
    }
    return replace(longest, **means)


def _mean(values: Sequence[float], logarithmic: bool) -> float:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan
    if not logarithmic:
        return sum(finite) / len(finite)
    if min(finite) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, finite)) / len(finite))


def _greatest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
