"""Does tanh learn faster than the sigmoid?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found, row_of
from jcnn.study import Result, Row
from textbook import shared, sigmoids
from textbook.criteria import STEPS, at_least
from textbook.paired import by_steps, ratio

FIGURE = "steps to 90%, sigmoid over tanh"
NULL = "steps to 90%, sigmoid centred and as steep over tanh"


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Steps of the sigmoid over those of tanh: two depths, each with what is said to help."""
    lenets = sigmoids.lenets(configuration, found)
    _add(configuration, found, "3 layers", lenets, model="lenet")
    shape = {name: configuration[name] for name in ("depth", "width")}
    plain = {"model": "plain", **shape}
    study = sigmoids.study(
        configuration, "sigmoid", "tanh", normalization=["none", "batch"], **plain
    )
    _add(configuration, found, "8 layers", shared.run(found, study, "deep"), **plain)


def _add(
    configuration: Mapping[str, Any], found: Found, where: str, plain: Result, **net: Any
) -> None:
    def alone(activation: str, initial: str) -> Row:
        study = sigmoids.study(configuration, activation, initial=initial, **net)
        name = f"{where}, {activation}, {initial}"
        result = shared.run(found, study, name)
        return by_steps(found, result, name, configuration["target"]).ranking()[0]

    plain = by_steps(found, plain, where, configuration["target"])
    for normalization, condition in (("none", where), ("batch", f"{where}, batch norm")):
        sigmoid, tanh = (
            row_of(plain, activation=name, normalization=normalization)
            for name in ("sigmoid", "tanh")
        )
        found.add(f"{condition}: {FIGURE}", *ratio(sigmoid, tanh))
    tanh = row_of(plain, activation="tanh", normalization="none")
    suited = alone("sigmoid", "4 glorot")
    found.add(f"{where}, weights to suit: {FIGURE}", *ratio(suited, tanh))
    alike = alone("4 (sigmoid - 0.5)", "glorot")
    found.add(f"{where}: {NULL}", *ratio(alike, tanh))


CLAIM = Claim(
    name="tanh-faster",
    source="LeCun et al. 1998, Efficient BackProp, section 4.4; usual in textbooks",
    statement="tanh learns faster than the sigmoid.",
    configuration={**sigmoids.CONFIGURATION, "depth": 8, "width": 8},
    criteria=[
        at_least(f"{where}{condition}: {FIGURE}", STEPS, None if condition else f"{where}: {NULL}")
        for where in ("3 layers", "8 layers")
        for condition in ("", ", weights to suit", ", batch norm")
    ],
    measure=measure,
)
