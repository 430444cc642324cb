"""Results with known values."""

import math

from jcnn.analysis import Result, RunRecord
from jcnn.engine import Outcome


def planted(values, *, factors=None, metric="accuracy", form=None, test_examples=0):
    """A result at one rate: `values` maps levels, one or a tuple, to values by seed.

    None is a seed that diverged.
    """
    levels = [name if isinstance(name, tuple) else (name,) for name in values]
    factors = factors or ("kind",) if len(levels[0]) == 1 else factors or ("activation", "norm")
    records = [
        RunRecord(i, 0.1, seed, _outcome(value, metric))
        for i, each in enumerate(values.values())
        for seed, value in enumerate(each)
    ]
    combinations = [dict(zip(factors, name, strict=True)) for name in levels]
    return Result(
        {},
        metric,
        metric == "accuracy",
        combinations,
        records,
        form=form,
        test_examples=test_examples,
    )


def _outcome(value, metric):
    number = math.nan if value is None else float(value)
    names = {metric, "loss"}
    curves = {f"{part}_{name}": [number] for part in ("train", "validation") for name in names}
    test = dict.fromkeys(names, number)
    return Outcome(curves, test, diverged_at=3 if value is None else None)
