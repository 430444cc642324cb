"""Does batch normalization relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements
from textbook.shared import vanishing_gradients
from textbook.shared.remedies import CONFIGURATION, QUICK, learns, restores

ACTIVATIONS = ("sigmoid", "tanh")


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure gradients and accuracies with batch normalization after each convolution."""
    vanishing_gradients.measure_without_remedy(configuration, measurements)
    for activation in ACTIVATIONS:
        ratios = vanishing_gradients.gradient_ratios(
            configuration, activation, normalization="batch"
        )
        measurements.add(f"gradient, {activation}: {vanishing_gradients.RATIO}", *ratios)
    if configuration["train"]:
        study = vanishing_gradients.build_study(
            configuration, ACTIVATIONS, vanishing_gradients.SMALL, normalization=["batch"]
        )
        result = study_cache.run(measurements, study, "batch-norm")
        for activation in ACTIVATIONS:
            vanishing_gradients.add_accuracies(
                measurements, result, activation, activation=activation
            )


CLAIM = Claim(
    name="remedy-batch-norm",
    source="Ioffe & Szegedy 2015, section 3.3; usual in textbooks",
    statement="Batch normalization relieves vanishing gradients.",
    configuration=CONFIGURATION,
    quick=QUICK,
    criteria=[kind(name, name) for name in ACTIVATIONS for kind in (learns, restores)],
    measure=measure,
)
