"""Does it slow learning that the sigmoid's outputs are not zero-centred?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.paired import rank_by_steps, ratio
from jcnn.study import Result
from textbook.shared import sigmoids
from textbook.shared.criteria import STEPS, at_least

FIGURE = "steps to 90%, original over zero-centred"


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Compare the steps of each activation with those of the same one shifted to mean 0."""
    target = configuration["target"]
    result = rank_by_steps(
        measurements, sigmoids.run_lenets(configuration, measurements), "lenets", target
    )
    for normalization, where in (("none", ""), ("batch", ", batch norm")):
        for figure, pair in {
            "sigmoid": ("sigmoid", "sigmoid - 0.5"),
            "tanh + 1": ("tanh + 1", "tanh"),
        }.items():
            measurements.add(f"{figure}{where}: {FIGURE}", *_ratio(result, *pair, normalization))
    pair = ("sigmoid", "sigmoid - 0.5")
    study = sigmoids.build_study(
        configuration, *pair, rates="adam_rates", optimizer=["adam"], normalization=["none"]
    )
    result = rank_by_steps(
        measurements, study_cache.run(measurements, study, "adam"), "adam", target
    )
    measurements.add(f"sigmoid, Adam: {FIGURE}", *_ratio(result, *pair, "none"))


def _ratio(result: Result, first: str, second: str, normalization: str) -> Any:
    rows = [find_row(result, activation=n, normalization=normalization) for n in (first, second)]
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
