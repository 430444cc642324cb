"""What a study trains: combinations of factor levels, and the groups that share a program."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jcnn import names, training
from jcnn.errors import UsageError, nearest
from jcnn.initializers import DataDriven
from jcnn.study import settings

# Factors of the training recipe; every other factor is a keyword of the model.
TRACED = ("momentum", "weight_decay")
RESERVED = {
    "learning_rate": "every combination tries all of learning_rates (--learning-rate)",
    "learning_rates": "every combination tries all learning rates (--learning-rate)",
    "rngs": "the model is given its random keys by seed",
    "input_shape": "the model is given the data's shape",
    "outputs": "the model is given the number of outputs",
}
# What combinations have unless a factor says otherwise.
DEFAULTS: dict[str, Any] = {
    "optimizer": training.optimizers.momentum,
    "schedule": "constant",
    "momentum": 0.9,
    "weight_decay": 0.0,
}
RECIPE = ("optimizer", "schedule", "augmentation", "batch_size", *TRACED)


@dataclass(frozen=True)
class Level:
    """One value of a factor, and the name it goes by."""

    name: str
    value: Any
    looked_up: bool = False

    def in_file(self) -> Any:
        """What stands for it in a study file: its value where TOML has the like, else its name."""
        plain = (bool, int, float, str)
        if isinstance(self.value, plain):
            return self.value
        if isinstance(self.value, tuple) and all(isinstance(v, plain) for v in self.value):
            return list(self.value)
        return self.name

    def readable(self, factor: str) -> bool:
        """Whether a study file that holds `in_file` gives this value back."""
        if self.looked_up or self.in_file() is not self.name or isinstance(self.value, str):
            return True
        try:
            return factor in names.TABLES and names.lookup(factor, self.name) is self.value
        except UsageError:
            return False


@dataclass(frozen=True)
class Combination:
    """One level of every factor.

    >>> one, other = combinations({"hidden": levels("hidden", [(8,), (16,)])})
    >>> one.names(), one.value("hidden"), one.structure() == other.structure()
    ({'hidden': '8'}, (8,), False)
    """

    levels: tuple[tuple[str, Level], ...]

    def value(self, factor: str, default: Any = None) -> Any:
        """The value of a factor, or `default` where the study does not vary or set it."""
        return next((level.value for name, level in self.levels if name == factor), default)

    def names(self) -> dict[str, str]:
        """The name of each factor's level."""
        return {factor: level.name for factor, level in self.levels}

    def structure(self) -> tuple[tuple[str, str], ...]:
        """What decides the program: all but initial values (`*_init`) and traced numbers."""
        return tuple(
            (factor, level.name)
            for factor, level in self.levels
            if not factor.endswith("_init") and factor not in TRACED
        )


def levels(factor: str, values: Any) -> list[Level]:
    """The levels of a factor: names are looked up, other values stand for themselves.

    A mapping gives names to values of one's own.
    """
    if factor in RESERVED:
        raise UsageError(f"{RESERVED[factor]}; {factor!r} is not a factor")
    if isinstance(values, Mapping):
        found = [Level(str(name), _value(factor, value)) for name, value in values.items()]
    else:
        if hasattr(values, "tolist"):
            values = values.tolist()
        one = isinstance(values, str) or not isinstance(values, Iterable)
        found = [_level(factor, value) for value in ([values] if one else values)]
    if not found:
        raise UsageError(f"factor {factor!r} has no values; give at least one or drop the factor")
    seen = [level.name for level in found]
    if len(set(seen)) < len(seen):
        raise UsageError(
            f"factor {factor!r} names a value twice: {', '.join(seen)}; where the values differ, "
            "give a mapping of names to them"
        )
    return found


def combinations(factors: Mapping[str, Sequence[Level]]) -> list[Combination]:
    """Every combination, the last factor varying fastest."""
    products = itertools.product(*factors.values())
    return [Combination(tuple(zip(factors, chosen, strict=True))) for chosen in products]


def told(levels: Mapping[str, str]) -> str:
    """A combination's levels with their factors, for where no table's head names these."""
    return ", ".join(f"{factor}={name}" for factor, name in levels.items())


def group(combined: Sequence[Combination]) -> list[list[int]]:
    """Indices of combinations that share a structure, in order of first appearance."""
    groups: dict[Any, list[int]] = {}
    for index, combination in enumerate(combined):
        groups.setdefault(combination.structure(), []).append(index)
    return list(groups.values())


def model_arguments(
    model: Callable[..., Any],
    combination: Combination,
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """Keywords for the model: the combination's, and what of `context` its signature takes.

    Raises ValueError for a factor that the model does not take, with the nearest it does.
    """
    parameters = _parameters(model)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {name: value for name, value in context.items() if open_ended or name in parameters}
    for factor, level in combination.levels:
        if factor in RECIPE:
            continue
        if not open_ended and factor not in parameters:
            known = [name for name in (*parameters, *RECIPE) if name not in RESERVED]
            raise nearest("factor", factor, known)
        arguments[factor] = level.value
    return arguments


def model_defaults(model: Callable[..., Any]) -> dict[str, Any]:
    """The values of the model's arguments that have one by default."""
    found = _parameters(model).values()
    return {one.name: one.default for one in found if one.default is not one.empty}


def is_data_driven(model: Callable[..., Any], combination: Combination) -> bool:
    """Whether an argument of the model is an initializer that wants its data."""
    given = model_defaults(model) | {name: level.value for name, level in combination.levels}
    return any(isinstance(value, DataDriven) for value in given.values())


def _parameters(model: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    # The signature of an NNX class is its metaclass's, which takes anything.
    return inspect.signature(
        functools.partial(model.__init__, None) if isinstance(model, type) else model
    ).parameters


def _level(factor: str, given: Any) -> Level:
    value = _value(factor, given)
    if isinstance(given, str):
        return Level(given, value, looked_up=factor in names.TABLES)
    if isinstance(value, (list, tuple)):
        return Level(",".join(map(str, value)), tuple(value))
    return Level("none" if value is None else names.name_of(factor, given), value)


def _value(factor: str, value: Any) -> Any:
    if factor in names.TABLES:
        return settings.named(factor, value)
    check = settings.FACTORS.get(factor)
    return value if check is None else check(value)
