"""Does relu relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found
from textbook import deep_net, shared
from textbook.deep_net import MILDER, SMALL
from textbook.remedies import CONFIGURATION, QUICK, restores, teaches

# The weights of the nets to be mended, so that relu alone is new; and those that suit relu.
WEIGHTS = {SMALL: f"weights {SMALL}", MILDER: f"weights {MILDER}", "He": "He's weights"}


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gradients and accuracies with relu in place of sigmoid and tanh."""
    deep_net.unmended(configuration, found)
    for initial, name in WEIGHTS.items():
        ratios = deep_net.gradient_ratios(configuration, "relu", initial=initial)
        found.add(f"gradient, {name}: {deep_net.RATIO}", *ratios)
    if configuration["train"]:
        result = shared.run(found, deep_net.study(configuration, ("relu",), *WEIGHTS), "relu")
        for initial, name in WEIGHTS.items():
            deep_net.learned(found, result, name, kernel_init=initial)


CLAIM = Claim(
    name="remedy-relu",
    source="Glorot, Bordes & Bengio 2011; usual in textbooks",
    statement="relu in place of sigmoid or tanh relieves vanishing gradients.",
    configuration=CONFIGURATION,
    quick=QUICK,
    criteria=[
        kind(name, "tanh", MILDER if initial == MILDER else SMALL)
        for initial, name in WEIGHTS.items()
        for kind in (teaches, restores)
    ],
    measure=measure,
)
