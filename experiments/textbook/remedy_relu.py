"""Does relu relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements
from textbook.shared import vanishing_gradients
from textbook.shared.remedies import CONFIGURATION, QUICK, learns, restores
from textbook.shared.vanishing_gradients import MILDER, SMALL

# The small weights of the null arm, so that only relu is new; and those that suit relu.
WEIGHTS = {SMALL: f"weights {SMALL}", MILDER: f"weights {MILDER}", "He": "He's weights"}


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure gradients and accuracies with relu instead of sigmoid and tanh."""
    vanishing_gradients.measure_without_remedy(configuration, measurements)
    for initial, name in WEIGHTS.items():
        ratios = vanishing_gradients.gradient_ratios(configuration, "relu", initial=initial)
        measurements.add(f"gradient, {name}: {vanishing_gradients.RATIO}", *ratios)
    if configuration["train"]:
        result = study_cache.run(
            measurements,
            vanishing_gradients.build_study(configuration, ("relu",), *WEIGHTS),
            "relu",
        )
        for initial, name in WEIGHTS.items():
            vanishing_gradients.add_accuracies(measurements, result, name, kernel_init=initial)


CLAIM = Claim(
    name="remedy-relu",
    source="Glorot, Bordes & Bengio 2011; usual in textbooks",
    statement="relu instead of sigmoid or tanh relieves vanishing gradients.",
    configuration=CONFIGURATION,
    quick=QUICK,
    criteria=[
        kind(name, "tanh", MILDER if initial == MILDER else SMALL)
        for initial, name in WEIGHTS.items()
        for kind in (learns, restores)
    ],
    measure=measure,
)
