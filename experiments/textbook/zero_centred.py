"""Zero-centred: does it slow learning that the sigmoid's outputs are all positive?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found, row_of
from jcnn.study import Result
from textbook import shared, sigmoids
from textbook.criteria import STEPS, at_least
from textbook.paired import by_steps, ratio

FIGURE = "steps to 90%, as it is over zero-centred"


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Steps of each activation over those of the same one moved to mean 0."""
    target = configuration["target"]
    result = by_steps(found, sigmoids.lenets(configuration, found), "lenets", target)
    for normalization, where in (("none", ""), ("batch", ", batch norm")):
        for figure, pair in {
            "sigmoid": ("sigmoid", "sigmoid - 0.5"),
            "tanh + 1": ("tanh + 1", "tanh"),
        }.items():
            found.add(f"{figure}{where}: {FIGURE}", *_ratio(result, *pair, normalization))
    pair = ("sigmoid", "sigmoid - 0.5")
    study = sigmoids.study(
        configuration, *pair, rates="adam_rates", optimizer=["adam"], normalization=["none"]
    )
    result = by_steps(found, shared.run(found, study, "adam"), "adam", target)
    found.add(f"sigmoid, Adam: {FIGURE}", *_ratio(result, *pair, "none"))


def _ratio(result: Result, first: str, second: str, normalization: str) -> Any:
    rows = [row_of(result, activation=n, normalization=normalization) for n in (first, second)]
    return ratio(*rows)


CLAIM = Claim(
    name="zero-centred",
    source="LeCun et al. 1998, Efficient BackProp, sections 4.3 and 4.4; usual in textbooks",
    statement="The sigmoid's outputs are not zero-centred, which slows learning.",
    configuration={
        **sigmoids.CONFIGURATION,
        "adam_rates": (0.03, 0.01, 0.003, 0.001, 0.0003),
    },
    criteria=[
        at_least(f"sigmoid: {FIGURE}", STEPS, f"sigmoid, batch norm: {FIGURE}"),
        at_least(f"tanh + 1: {FIGURE}", STEPS, f"tanh + 1, batch norm: {FIGURE}"),
        at_least(f"sigmoid, Adam: {FIGURE}", STEPS),
        at_least(f"sigmoid, batch norm: {FIGURE}", STEPS),
    ],
    measure=measure,
)
