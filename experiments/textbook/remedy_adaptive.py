"""Do Adam and RMSprop relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found
from textbook import deep_net, shared
from textbook.deep_net import MILDER, SMALL, UNMENDED, no_remedy
from textbook.remedies import CONFIGURATION, QUICK, restores, teaches

OPTIMIZERS = {"Adam": "adam", "RMSprop": "rmsprop"}
CHANGE = "change of the first layer by a first step at the greatest rate, as a share of it"
NETS = [(activation, initial) for activation in UNMENDED for initial in (SMALL, MILDER)]


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gradients, which no optimizer changes, first steps, and accuracies."""
    deep_net.unmended(configuration, found)
    for activation, initial in NETS:
        _before(configuration, found, activation, initial)
    found.notes.append(
        "gradients before the first step are those of the net, whatever the optimizer: those "
        "criteria only say whether there was something to restore"
    )
    if not configuration["train"]:
        return
    study = deep_net.study(
        configuration,
        UNMENDED,
        SMALL,
        MILDER,
        rates="adaptive_rates",
        optimizer=list(OPTIMIZERS.values()),
    )
    result = shared.run(found, study, "adaptive")
    for name, optimizer in OPTIMIZERS.items():
        for activation, initial in NETS:
            levels = {"activation": activation, "kernel_init": initial, "optimizer": optimizer}
            deep_net.learned(found, result, f"{name}, {_net(activation, initial)}", **levels)


def _before(configuration: Mapping[str, Any], found: Found, activation: str, initial: str) -> None:
    ratios = deep_net.gradient_ratios(configuration, activation, initial=initial)
    found.add(f"gradient, {_net(activation, initial)}: {deep_net.RATIO}", *ratios)
    rate = max(configuration["learning_rates"])
    steps = deep_net.first_steps(configuration, activation, initial=initial, rate=rate)
    found.add(no_remedy(activation, CHANGE, initial), *steps)
    rate = max(configuration["adaptive_rates"])
    for name, optimizer in OPTIMIZERS.items():
        steps = deep_net.first_steps(
            configuration, activation, initial=initial, optimizer=optimizer, rate=rate
        )
        found.add(f"{name}, {_net(activation, initial)}: {CHANGE}", *steps)


def _net(activation: str, initial: str) -> str:
    return f"{activation}, weights {initial}"


CLAIM = Claim(
    name="remedy-adaptive",
    source="usual in textbooks and tutorials",
    statement="Adam and RMSprop relieve vanishing gradients.",
    configuration={**CONFIGURATION, "adaptive_rates": (0.03, 0.01, 0.003, 0.001, 0.0003)},
    quick=QUICK,
    criteria=[
        *(teaches(f"{name}, {_net(*one)}", *one) for name in OPTIMIZERS for one in NETS),
        *(restores(_net(*one), *one) for one in NETS),
    ],
    measure=measure,
)
