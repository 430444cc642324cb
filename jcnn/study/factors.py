"""Factors and levels: their combinations, and the groups that share a program."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jcnn import names, training
from jcnn.adapters import is_built
from jcnn.errors import UsageError, nearest
from jcnn.initializers import DataDriven
from jcnn.study import settings

# Numeric factors that are inputs of the compiled program.
TRACED = ("momentum", "weight_decay")
RESERVED = {
    "learning_rate": "every combination tries all of learning_rates (--learning-rate)",
    "learning_rates": "every combination tries all learning rates (--learning-rate)",
    "rngs": "the study passes random keys to the model, by seed",
    "input_shape": "the study passes the data's shape to the model",
    "outputs": "the study passes the number of outputs to the model",
    "key": "the study passes random keys to the model, by seed",
}
# Other names of the argument `outputs` of a model.
OUTPUTS = ("num_classes", "num_outputs", "n_classes", "num_labels")
# The values of recipe factors that a study does not set.
DEFAULTS: dict[str, Any] = {
    "optimizer": training.optimizers.momentum,
    "schedule": "constant",
    "momentum": 0.9,
    "weight_decay": 0.0,
}
# A factor that only chosen points may have: the rate of a point's training.
LEARNING_RATE = "learning_rate"
# Factors of the training recipe; every other factor is a keyword argument of the model.
RECIPE = ("optimizer", "schedule", "augmentation", "batch_size", *TRACED, LEARNING_RATE)


@dataclass(frozen=True)
class Level:
    """One value of a factor, and its name."""

    name: str
    value: Any
    looked_up: bool = False

    def in_file(self) -> Any:
        """Its form in a study file: the value if TOML can represent it, else the name."""
        plain = (bool, int, float, str)
        if isinstance(self.value, plain):
            return self.value
        if isinstance(self.value, tuple) and all(isinstance(v, plain) for v in self.value):
            return list(self.value)
        return self.name

    def readable(self, factor: str) -> bool:
        """Whether a study file with `in_file` restores this value."""
        if self.looked_up or self.in_file() is not self.name or isinstance(self.value, str):
            return True
        try:
            return factor in names.TABLES and names.lookup(factor, self.name) is self.value
        except UsageError:
            return False


@dataclass(frozen=True)
class Combination:
    """One level of every factor.

    >>> first, second = combinations({"hidden": levels("hidden", [(8,), (16,)])})
    >>> first.names(), first.value("hidden"), first.structure() == second.structure()
    ({'hidden': '8'}, (8,), False)
    """

    levels: tuple[tuple[str, Level], ...]

    def value(self, factor: str, default: Any = None) -> Any:
        """The value of a factor, or `default` if the study does not set it."""
        return next((level.value for name, level in self.levels if name == factor), default)

    def names(self) -> dict[str, str]:
        """The name of each factor's level."""
        return {factor: level.name for factor, level in self.levels}

    def initial(self) -> tuple[tuple[str, str], ...]:
        """The levels that determine the initial values: all but traced numbers."""
        return tuple(
            (factor, level.name)
            for factor, level in self.levels
            if factor not in (*TRACED, LEARNING_RATE)
        )

    def structure(self) -> tuple[tuple[str, str], ...]:
        """The levels that determine the program: all but initializers and traced numbers."""
        return tuple(
            (factor, level.name)
            for factor, level in self.levels
            if not factor.endswith("_init") and factor not in (*TRACED, LEARNING_RATE)
        )


def levels(factor: str, values: Any) -> list[Level]:
    """The levels of a factor: names are looked up, other values are used as they are.

    A mapping names values explicitly.
    """
    if factor in RESERVED:
        raise UsageError(f"{RESERVED[factor]}; {factor!r} is not a factor")
    if isinstance(values, Mapping):
        result = [Level(str(name), _value(factor, value)) for name, value in values.items()]
    else:
        if hasattr(values, "tolist"):
            values = values.tolist()
        single = isinstance(values, str) or not isinstance(values, Iterable)
        result = [_level(factor, value) for value in ([values] if single else values)]
    if not result:
        raise UsageError(f"factor {factor!r} has no values; give at least one or drop the factor")
    level_names = [level.name for level in result]
    if len(set(level_names)) < len(level_names):
        raise UsageError(
            f"factor {factor!r} has two values of the same name: {', '.join(level_names)}; if they "
            "differ, pass a mapping of names to values"
        )
    return result


def combinations(factors: Mapping[str, Sequence[Level]]) -> list[Combination]:
    """Every combination, the last factor varying fastest."""
    products = itertools.product(*factors.values())
    return [Combination(tuple(zip(factors, chosen, strict=True))) for chosen in products]


def chosen_points(points: Any) -> tuple[dict[str, list[Level]], list[Combination]]:
    """The levels and combinations of points: mappings of the same factors to a value each.

    Raises UsageError if they are not that, or if two of them are the same.

    >>> found, combined = chosen_points([{"depth": 2, "width": 8}, {"depth": 4, "width": 8}])
    >>> [level.name for level in found["depth"]], combined[1].names()
    (['2', '4'], {'depth': '4', 'width': '8'})
    """
    expected = "expected mappings of the same factors to a value each"
    if isinstance(points, (str, Mapping)) or not isinstance(points, Iterable):
        raise UsageError(f"points={points!r}; {expected}")
    chosen = [*points]
    if not chosen or not all(isinstance(point, Mapping) and point for point in chosen):
        raise UsageError(f"points={chosen[:3]!r}; {expected}")
    factors = list(chosen[0])
    for place, point in enumerate(chosen):
        if set(point) != set(factors):
            raise UsageError(f"points: number {place} has {', '.join(point)}; {expected}")
    by_factor: dict[str, list[Level]] = {}
    places: list[list[int]] = []
    for factor in factors:
        distinct: list[Any] = []
        for point in chosen:
            if not any(_same(point[factor], value) for value in distinct):
                distinct.append(point[factor])
        by_factor[factor] = (
            _rates(distinct) if factor == LEARNING_RATE else levels(factor, distinct)
        )
        places.append(
            [next(i for i, v in enumerate(distinct) if _same(point[factor], v)) for point in chosen]
        )
    combined = [
        Combination(tuple((f, by_factor[f][i]) for f, i in zip(factors, at, strict=True)))
        for at in zip(*places, strict=True)
    ]
    names_of = [tuple(combination.names().values()) for combination in combined]
    for place, each in enumerate(names_of):
        if each in names_of[:place]:
            raise UsageError(f"points: number {place} is the same as number {names_of.index(each)}")
    return by_factor, combined


def _same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    numbers = [
        isinstance(each, (int, float)) and not isinstance(each, bool) for each in (value, other)
    ]
    return bool((type(value) is type(other) or all(numbers)) and value == other)


def _rates(values: Sequence[Any]) -> list[Level]:
    return [Level(f"{rate:g}", rate) for rate in settings.learning_rates(values)]


def group(combined: Sequence[Combination]) -> list[list[int]]:
    """Group the indices of combinations that share a structure, in order of first appearance."""
    groups: dict[Any, list[int]] = {}
    for index, combination in enumerate(combined):
        groups.setdefault(combination.structure(), []).append(index)
    return list(groups.values())


def model_arguments(
    model: Callable[..., Any],
    combination: Combination,
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """Keyword arguments for the model: its factors, and the parts of `context` that it takes.

    Raises ValueError for a factor that the model does not take, with the nearest names that it
    does.
    """
    parameters = _parameters(model)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {
        name: value
        for name, value in context.items()
        if name in parameters or (open_ended and name not in (*OUTPUTS, "key"))
    }
    for factor, level in combination.levels:
        if factor in RECIPE:
            continue
        if not open_ended and factor not in parameters:
            known = [name for name in (*parameters, *RECIPE) if name not in (*RESERVED, *OUTPUTS)]
            raise nearest("factor", factor, known)
        arguments[factor] = level.value
    return arguments


def model_defaults(model: Callable[..., Any]) -> dict[str, Any]:
    """The default values of the model's arguments."""
    parameters = _parameters(model).values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def is_data_driven(model: Callable[..., Any], combination: Combination) -> bool:
    """Whether an argument of the model is an initializer that needs the data."""
    arguments = model_defaults(model) | {name: level.value for name, level in combination.levels}
    return any(isinstance(value, DataDriven) for value in arguments.values())


def _parameters(model: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    if is_built(model):
        return {}  # it is built already
    # The signature of an NNX class is the one of its metaclass, which takes anything.
    return inspect.signature(
        functools.partial(model.__init__, None) if isinstance(model, type) else model
    ).parameters


def _level(factor: str, item: Any) -> Level:
    value = _value(factor, item)
    if isinstance(item, str):
        return Level(item, value, looked_up=factor in names.TABLES)
    if isinstance(value, (list, tuple)):
        return Level(",".join(map(str, value)), tuple(value))
    return Level("none" if value is None else names.name_of(factor, item), value)


def _value(factor: str, value: Any) -> Any:
    if factor in names.TABLES:
        return settings.named(factor, value)
    check = settings.FACTORS.get(factor)
    return value if check is None else check(value)
