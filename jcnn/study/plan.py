"""The plan of a study: what it trains, every setting checked; no data is read."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex

from flax import nnx

from jcnn.analysis.racing import LOOKS
from jcnn.errors import UsageError
from jcnn.study import settings
from jcnn.study.factors import (
    LEARNING_RATE,
    Combination,
    Level,
    chosen_points,
    combinations,
    group,
    levels,
)
from jcnn.study.limits import check_depth

DEFAULT_FACTORS: dict[str, Sequence[str]] = {
    "activation": ("sigmoid", "tanh", "relu"),
    "kernel_init": ("glorot_normal", "he_normal"),
    "normalization": ("none", "batch"),
}


_ROOM_FOR_POINTS = 8


@dataclass
class Plan:
    """The fields of `jcnn.Study`, where they are documented, and what follows from them alone.

    `seed_values`, `levels` and `combinations` spell out `seeds` and `factors`; `build_model`,
    `augment` and `first_weights` are the callables that `model`, `augmentation` and `warm_start`
    stand for; `call_model` and `select_output` those of `call` and `output`, `own_loss` and
    `own_metrics` those of `loss` and `metrics`, by name.
    """

    data: Any = "digits"
    model: Any = "lenet"
    factors: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_FACTORS))
    learning_rates: Any = (1.0, 0.3, 0.1, 0.03, 0.01)
    seeds: Any = 5
    epochs: SupportsIndex = 15
    batch_size: SupportsIndex = 64
    task: str | None = None
    validation_fraction: float = 0.2
    warmup_steps: int = 0
    gradient_clip: float | None = None
    label_smoothing: float = 0.0
    extend_learning_rates: bool = False
    augmentation: Any = None
    ema_decay: float | None = None
    accumulation_steps: int = 1
    patience: int | None = None
    warm_start: Any = None
    dtype: str | None = None
    data_memory: int | None = None
    diagnose: int | None = None
    data_dir: str | None = None
    resize: Any = None
    full_grid: bool = False
    within: float | None = None
    max_runs: int | None = None
    budget: Any = None
    halving_epochs: int | None = None
    points: Any = None
    call: Any = None
    output: Any = None
    loss: Any = None
    metrics: Any = None
    metric: str | None = None

    def __post_init__(self) -> None:
        """Check everything that can be checked without data."""
        for name, check in settings.CHECKS.items():
            setattr(self, name, check(getattr(self, name)))
        self.seed_values: list[int] = settings.seed_values(self.seeds)
        if self.full_grid and not (self.within is None and self.max_runs is None):
            raise UsageError("full_grid trains everything; drop it, or within and max_runs")
        self.build_model: Callable[..., nnx.Module] = settings.named("model", self.model)
        self.augment = settings.named("augmentation", self.augmentation)
        self.first_weights = settings.warm_start(self.warm_start)
        self.call_model = settings.named("call", self.call)
        self.select_output = settings.output(self.output)
        self.own_loss = settings.named("loss", self.loss)
        self.own_metrics = settings.metrics(self.metrics)
        if not isinstance(self.factors, Mapping):
            raise UsageError(f"factors={self.factors!r}; expected a mapping of names to values")
        self.levels: dict[str, list[Level]]
        self.combinations: list[Combination]
        if self.points is None:
            self.levels = {
                factor: levels(factor, values) for factor, values in self.factors.items()
            }
            self.combinations = combinations(self.levels)
        else:
            if self.factors != DEFAULT_FACTORS:
                raise UsageError("give factors or points, not both: points name their own factors")
            self.points = [*self.points] if isinstance(self.points, Iterable) else self.points
            self.levels, self.combinations = chosen_points(self.points)
        check_depth(self.build_model, (level.value for level in self.levels.get("depth", [])))
        if self.halving_epochs is not None:
            self._check_halving(self.halving_epochs)

    def _check_halving(self, epochs: int) -> None:
        if epochs >= int(self.epochs):
            raise UsageError(f"halving_epochs={epochs}; expected fewer than epochs={self.epochs}")
        if not self.races:
            raise UsageError(
                "halving_epochs applies to studies of several combinations, and not to full_grid"
            )
        changing = [
            level.name for level in self.levels.get("schedule", []) if level.name != "constant"
        ]
        if changing:
            raise UsageError(
                f"halving_epochs={epochs}: the learning rates of schedule={changing[0]} depend on "
                "the number of epochs, so a short training is not the beginning of a long one; "
                "use constant ones, or drop halving_epochs"
            )

    @property
    def runs(self) -> int:
        """The number of trainings of the full grid."""
        rates = sum(len(self.rates(i)) for i in range(len(self.combinations)))
        return rates * len(self.seed_values)

    @property
    def most_runs(self) -> int | None:
        """The largest number of trainings; None if only `within` or `budget` limits it.

        A race takes no more than the full grid, unless one of its limits is set.
        """
        limits = self.max_runs, self.within, self.budget
        if self.races and any(limit is not None for limit in limits):
            return self.max_runs
        return min(self.runs, self.max_runs or self.runs)

    @property
    def races(self) -> bool:
        """Whether runs are given to combinations by what earlier ones say of them."""
        return not self.full_grid and len(self.combinations) > 1

    def runs_at_once(self, members: Sequence[Combination]) -> int | None:
        """The number of runs that the programs of a group have room for; None for what is missing.

        A race trains few at a time with a budget, so that little is unfinished when it is spent.
        """
        if not self.races:
            return None
        if self.budget is not None:
            return len(members)
        rates = 1 if LEARNING_RATE in self.levels else len(self.learning_rates)
        room = len(members) * max(rates, min(len(self.seed_values), 3))
        # Batches of points that differ in number then share their programs.
        return room if self.points is None else -(-room // _ROOM_FOR_POINTS) * _ROOM_FOR_POINTS

    def rates(self, combination: int) -> tuple[float, ...]:
        """The learning rates of a combination: those of the study, or the one of its point."""
        rate = self.combinations[combination].value(LEARNING_RATE)
        return tuple(self.learning_rates) if rate is None else (rate,)

    @property
    def all_seeds(self) -> list[int]:
        """Every seed that the study may train with, in their order."""
        most = max(len(self.seed_values), LOOKS[-1] if self.races else 0)
        return [self.seed(place) for place in range(most)]

    def seed(self, place: int) -> int:
        """The seed with this place in the order of training; a race may go beyond `seeds`."""
        seeds = sorted(self.seed_values)
        return seeds[place] if place < len(seeds) else seeds[-1] + 1 + place - len(seeds)

    @property
    def compilations(self) -> int:
        """The number of training programs that are compiled."""
        return len(self.groups)

    @property
    def groups(self) -> list[list[int]]:
        """Indices of the combinations that share a training program."""
        return group(self.combinations)

    @property
    def named_data(self) -> bool:
        """Whether `data` is a name or a path, and not arrays."""
        return isinstance(self.data, (str, os.PathLike))
