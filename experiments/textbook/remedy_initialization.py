"""Does Xavier's or He's initialization relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found
from textbook import deep_net, shared
from textbook.remedies import CONFIGURATION, QUICK, restores, teaches

# Four times Xavier's is what is usual for the sigmoid, whose slope is a quarter of tanh's.
ARMS = {
    "tanh": ("Xavier", "He"),
    "sigmoid": ("Xavier", "He", "4 x Xavier"),
}


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gradients and accuracies from weights drawn by each scheme."""
    deep_net.unmended(configuration, found)
    for activation, schemes in ARMS.items():
        for scheme in schemes:
            ratios = deep_net.gradient_ratios(configuration, activation, initial=scheme)
            found.add(f"gradient, {scheme}, {activation}: {deep_net.RATIO}", *ratios)
        if not configuration["train"]:
            continue
        study = deep_net.study(configuration, (activation,), *schemes)
        result = shared.run(found, study, f"initialization-{activation}")
        for scheme in schemes:
            deep_net.learned(found, result, f"{scheme}, {activation}", kernel_init=scheme)


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
        for kind in (teaches, restores)
    ],
    measure=measure,
)
