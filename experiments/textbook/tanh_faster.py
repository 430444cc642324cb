"""Does tanh learn faster than the sigmoid?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.paired import rank_by_steps, ratio
from jcnn.study import Result, Row
from textbook.shared import sigmoids
from textbook.shared.criteria import STEPS, at_least

FIGURE = "steps to 90%, sigmoid over tanh"
NULL = "steps to 90%, sigmoid with tanh's centre and slope over tanh"


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compare the steps of sigmoid and tanh at two depths, with what is said to help."""
    lenets = sigmoids.run_lenets(configuration, measurements)
    _add(configuration, measurements, "3 layers", lenets, model="lenet")
    shape = {name: configuration[name] for name in ("depth", "width")}
    plain_cnn = {"model": "plain", **shape}
    study = sigmoids.build_study(
        configuration, "sigmoid", "tanh", normalization=["none", "batch"], **plain_cnn
    )
    _add(
        configuration,
        measurements,
        "8 layers",
        study_cache.run(measurements, study, "deep"),
        **plain_cnn,
    )


def _add(
    configuration: Mapping[str, Any],
    measurements: Measurements,
    where: str,
    result: Result,
    **network: Any,
) -> None:
    def fastest(activation: str, initial: str) -> Row:
        study = sigmoids.build_study(configuration, activation, initial=initial, **network)
        name = f"{where}, {activation}, {initial}"
        result = study_cache.run(measurements, study, name)
        return rank_by_steps(measurements, result, name, configuration["target"]).ranking()[0]

    ranked = rank_by_steps(measurements, result, where, configuration["target"])
    for normalization, condition in (("none", where), ("batch", f"{where}, batch norm")):
        sigmoid, tanh = (
            find_row(ranked, activation=name, normalization=normalization)
            for name in ("sigmoid", "tanh")
        )
        measurements.add(f"{condition}: {FIGURE}", *ratio(sigmoid, tanh))
    tanh = find_row(ranked, activation="tanh", normalization="none")
    suited = fastest("sigmoid", "4 glorot")
    measurements.add(f"{where}, suited weights: {FIGURE}", *ratio(suited, tanh))
    matched = fastest("4 (sigmoid - 0.5)", "glorot")
    measurements.add(f"{where}: {NULL}", *ratio(matched, tanh))


CLAIM = Claim(
    name="tanh-faster",
    source="LeCun et al. 1998, Efficient BackProp, section 4.4; usual in textbooks",
    statement="tanh learns faster than the sigmoid.",
    configuration={**sigmoids.CONFIGURATION, "depth": 8, "width": 8},
    criteria=[
        at_least(f"{where}{condition}: {FIGURE}", STEPS, None if condition else f"{where}: {NULL}")
        for where in ("3 layers", "8 layers")
        for condition in ("", ", suited weights", ", batch norm")
    ],
    measure=measure,
)
