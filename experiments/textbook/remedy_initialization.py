"""Does Xavier's or He's initialization relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements
from textbook.shared import vanishing_gradients
from textbook.shared.remedies import CONFIGURATION, QUICK, learns, restores

# Four times Xavier's is usual for the sigmoid, whose slope is a quarter of tanh's.
ARMS = {
    "tanh": ("Xavier", "He"),
    "sigmoid": ("Xavier", "He", "4 x Xavier"),
}


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure gradients and accuracies from each initialization."""
    vanishing_gradients.measure_without_remedy(configuration, measurements)
    for activation, schemes in ARMS.items():
        for scheme in schemes:
            ratios = vanishing_gradients.gradient_ratios(configuration, activation, initial=scheme)
            measurements.add(
                f"gradient, {scheme}, {activation}: {vanishing_gradients.RATIO}", *ratios
            )
        if not configuration["train"]:
            continue
        study = vanishing_gradients.build_study(configuration, (activation,), *schemes)
        result = study_cache.run(measurements, study, f"initialization-{activation}")
        for scheme in schemes:
            vanishing_gradients.add_accuracies(
                measurements, result, f"{scheme}, {activation}", kernel_init=scheme
            )


CLAIM = Claim(
    name="remedy-initialization",
    source="Glorot & Bengio 2010; He et al. 2015; usual in textbooks",
    statement="Xavier's and He's initializations relieve vanishing gradients.",
    configuration=CONFIGURATION,
    quick=QUICK,
    criteria=[
        kind(f"{scheme}, {activation}", activation)
        for activation, schemes in ARMS.items()
        for scheme in schemes
        for kind in (learns, restores)
    ],
    measure=measure,
)
