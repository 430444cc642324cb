"""Checks of a study's settings, the same for Python, study files and command-line flags."""

import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from jcnn import names
from jcnn.data.resize import as_resize
from jcnn.errors import UsageError
from jcnn.export.loading import ENDINGS, load_weights
from jcnn.training import TaskMetric

MOST = 1_000_000
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LEAST_FLOAT32, _MOST_FLOAT32 = 2.0**-126, 3.4e38  # the least that is not denormal


def whole(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """`value` as an int from `least` to `most`; UsageError otherwise."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise UsageError(f"{name}={value!r}; expected a whole number of at least {least}")
    if most is not None and number > most:
        raise UsageError(f"{name}={value!r}; expected at most {most:,}")
    return number


def number(
    name: str, value: Any, expected: str, fits: Callable[[float], bool] = math.isfinite
) -> float:
    """`value` as a finite float that `fits`; UsageError says that `expected` was expected."""
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result) or not fits(result):
        raise UsageError(f"{name}={value!r}; expected {expected}")
    return result


def learning_rates(values: Any) -> tuple[float, ...]:
    """Distinct positive learning rates, from one number or several."""
    rates_given = _several(values)
    rates = tuple(
        number("learning_rates", rate, "positive numbers of float32", _is_positive)
        for rate in rates_given
    )
    if not rates or len(set(rates)) < len(rates):
        raise UsageError(f"learning_rates={rates_given}; expected distinct positive numbers")
    return rates


def seconds(value: Any) -> float:
    """A positive duration from seconds, or from text such as "90s", "10m" or "1.5h".

    >>> seconds("10m"), seconds(45)
    (600.0, 45.0)
    """
    expected = "a time such as 90s, 10m or 1.5h"
    if not isinstance(value, str):
        return number("budget", value, expected, lambda v: v > 0)
    unit = _SECONDS.get(value[-1:].lower())
    try:
        amount = float(value if unit is None else value[:-1])
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount <= 0:
        raise UsageError(f"budget={value!r}; expected {expected}")
    return amount * (unit or 1.0)


def _is_positive(value: float) -> bool:
    """Whether a number is positive, and neither 0 nor infinite as float32."""
    return _LEAST_FLOAT32 <= value <= _MOST_FLOAT32


def seed_values(seeds: Any) -> list[int]:
    """The seeds, from a count or from whole numbers."""
    numbers = _several(seeds)
    if numbers == [seeds]:
        return list(range(whole("seeds", seeds, most=MOST)))
    values = [whole("seeds", seed, least=0) for seed in numbers]
    if not values or len(set(values)) < len(values) or max(values) >= 2**31:
        raise UsageError(f"seeds={numbers}; expected a count, or distinct numbers below 2^31")
    return values


def named(kind: str, value: Any) -> Any:
    """Look up a name of this kind; a callable or None is returned as it is."""
    if isinstance(value, str):
        return names.lookup(kind, value)
    if value is None or callable(value):
        return value
    raise UsageError(f"{kind}={value!r}; expected a name or a callable")


def warm_start(value: Any) -> Callable[[Any], Any] | None:
    """The function that gives a network its first weights, from its name or a file of weights."""
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.endswith(ENDINGS)):
        return partial(load_weights, source=os.path.abspath(value))
    found: Callable[[Any], Any] | None = named("warm_start", value)
    return found


# Names of metrics that have another meaning.
_TAKEN = ("loss", "accuracy", "error", "area", "diverged", "steps", "seconds")


def output(value: Any) -> Any:
    """The part of a model's outputs: a key or an index, or a callable (also by its name)."""
    if isinstance(value, str):
        if ":" in value:
            return names.lookup("output", value)
        return int(value) if value.isdecimal() else value
    if value is None or callable(value) or type(value) is int:
        return value
    raise UsageError(f"output={value!r}; expected a key, an index or a callable")


def metrics(value: Any) -> dict[str, Any]:
    """Metrics by name, from a mapping, or from names and functions in a list."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        single = isinstance(value, str) or callable(value)
        if not single and not isinstance(value, Iterable):
            raise UsageError(f"metrics={value!r}; expected names or functions")
        items = [value] if single else [*value]
        value = {_metric_name(each): each for each in items}
    for name, metric in value.items():
        if not str(name).isidentifier():
            raise UsageError(f"metric {name!r}; expected a name, as in metrics={{'hits': ...}}")
        if name in _TAKEN:
            raise UsageError(f"metric {name!r} has a meaning already; choose another name")
        if name in names.TABLES["metrics"] and metric != name:
            raise UsageError(f"metric {name!r} is built in; give your own another name")
        if not (isinstance(metric, (str, TaskMetric)) or callable(metric)):
            raise UsageError(f"metric {name}={metric!r}; expected a name or a function")
        if isinstance(metric, str):
            names.lookup("metrics", metric)
    return dict(value)


def _metric_name(metric: Any) -> str:
    return metric.rpartition(":")[2] if isinstance(metric, str) else getattr(metric, "__name__", "")


def _several(values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (str, dict)) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def _text(name: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise UsageError(f"{name}={value!r}; expected a string")
        return value

    return check


def _whole(name: str, least: int = 1, most: int | None = None) -> Callable[[Any], int]:
    return lambda value: whole(name, value, least=least, most=most)


def _number(name: str, expected: str, fits: Callable[[float], bool]) -> Callable[[Any], float]:
    return lambda value: number(name, value, expected, fits)


def _flag(name: str) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise UsageError(f"{name}={value!r}; expected true or false")
        return value

    return check


def _or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def resize(value: Any) -> int | str:
    """Return the form of `jcnn.data.resize.as_resize` that a study file can hold."""
    height, width, pad = as_resize(value)
    if height == width and not pad:
        return height
    return f"{height}x{width}{':pad' * pad}"


# Checks that return the stored form. Settings that take Python objects are checked when used.
CHECKS: dict[str, Callable[[Any], Any]] = {
    "learning_rates": learning_rates,
    "epochs": _whole("epochs", most=MOST),
    "batch_size": _whole("batch_size"),
    "task": _or_none(_text("task")),
    "metric": _or_none(_text("metric")),
    "validation_fraction": _number(
        "validation_fraction", "a number between 0 and 1", lambda v: 0 < v < 1
    ),
    "warmup_steps": _whole("warmup_steps", 0),
    "gradient_clip": _or_none(_number("gradient_clip", "a positive norm", _is_positive)),
    "ema_decay": _or_none(
        _number("ema_decay", "a number between 0 and 1, such as 0.999", lambda v: 0 < v < 1)
    ),
    "accumulation_steps": _whole("accumulation_steps"),
    "patience": _or_none(_whole("patience")),
    "label_smoothing": _number("label_smoothing", "from 0 to below 1", lambda v: 0 <= v < 1),
    "extend_learning_rates": _flag("extend_learning_rates"),
    "full_grid": _flag("full_grid"),
    "within": _or_none(_number("within", "0 or a positive number", lambda v: v >= 0)),
    "max_runs": _or_none(_whole("max_runs")),
    "budget": _or_none(seconds),
    "halving_epochs": _or_none(_whole("halving_epochs")),
    "dtype": _or_none(lambda value: named("dtype", value) and value),
    "data_memory": _or_none(_whole("data_memory")),
    "diagnose": _or_none(_whole("diagnose", most=MOST)),
    "resize": _or_none(resize),
    "data_dir": _or_none(
        lambda value: _text("data_dir")(
            os.fspath(value) if isinstance(value, os.PathLike) else value
        )
    ),
}

# Numbers that may be factors.
FACTORS: dict[str, Callable[[Any], Any]] = {
    "batch_size": CHECKS["batch_size"],
    "momentum": _number("momentum", "a number from 0 to below 1", lambda v: 0 <= v < 1),
    "weight_decay": _number(
        "weight_decay", "a number of at least 0", lambda v: 0 <= v <= _MOST_FLOAT32
    ),
}
