"""Do Adam and RMSprop relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements
from textbook.shared import vanishing_gradients
from textbook.shared.remedies import CONFIGURATION, QUICK, learns, restores
from textbook.shared.vanishing_gradients import MILDER, SATURATING, SMALL, no_remedy

OPTIMIZERS = {"Adam": "adam", "RMSprop": "rmsprop"}
CHANGE = "relative change of the first layer in one step at the largest learning rate"
NETWORKS = [(activation, initial) for activation in SATURATING for initial in (SMALL, MILDER)]


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure gradients, which no optimizer changes, first updates, and accuracies."""
    vanishing_gradients.measure_without_remedy(configuration, measurements)
    for activation, initial in NETWORKS:
        _measure_initial(configuration, measurements, activation, initial)
    measurements.notes.append(
        "gradients before the first step do not depend on the optimizer: those criteria only say "
        "whether there was something to restore"
    )
    if not configuration["train"]:
        return
    study = vanishing_gradients.build_study(
        configuration,
        SATURATING,
        SMALL,
        MILDER,
        rates="adaptive_rates",
        optimizer=list(OPTIMIZERS.values()),
    )
    result = study_cache.run(measurements, study, "adaptive")
    for name, optimizer in OPTIMIZERS.items():
        for activation, initial in NETWORKS:
            levels = {"activation": activation, "kernel_init": initial, "optimizer": optimizer}
            vanishing_gradients.add_accuracies(
                measurements, result, f"{name}, {_network(activation, initial)}", **levels
            )


def _measure_initial(
    configuration: Mapping[str, Any], measurements: Measurements, activation: str, initial: str
) -> None:
    ratios = vanishing_gradients.gradient_ratios(configuration, activation, initial=initial)
    measurements.add(
        f"gradient, {_network(activation, initial)}: {vanishing_gradients.RATIO}", *ratios
    )
    rate = max(configuration["learning_rates"])
    updates = vanishing_gradients.first_updates(
        configuration, activation, initial=initial, rate=rate
    )
    measurements.add(no_remedy(activation, CHANGE, initial), *updates)
    rate = max(configuration["adaptive_rates"])
    for name, optimizer in OPTIMIZERS.items():
        updates = vanishing_gradients.first_updates(
            configuration, activation, initial=initial, optimizer=optimizer, rate=rate
        )
        measurements.add(f"{name}, {_network(activation, initial)}: {CHANGE}", *updates)


def _network(activation: str, initial: str) -> str:
    return f"{activation}, weights {initial}"


CLAIM = Claim(
    name="remedy-adaptive",
    source="usual in textbooks and tutorials",
    statement="Adam and RMSprop relieve vanishing gradients.",
    configuration={**CONFIGURATION, "adaptive_rates": (0.03, 0.01, 0.003, 0.001, 0.0003)},
    quick=QUICK,
    criteria=[
        *(
            learns(f"{name}, {_network(*network)}", *network)
            for name in OPTIMIZERS
            for network in NETWORKS
        ),
        *(restores(_network(*network), *network) for network in NETWORKS),
    ],
    measure=measure,
)
