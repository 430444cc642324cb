"""Does batch normalization relieve vanishing gradients?"""

from collections.abc import Mapping
from typing import Any

from harness.claim import Claim
from harness.found import Found
from textbook import deep_net, shared
from textbook.remedies import CONFIGURATION, QUICK, restores, teaches

ACTIVATIONS = ("sigmoid", "tanh")


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gradients and accuracies with batch normalization after each convolution."""
    deep_net.unmended(configuration, found)
    for activation in ACTIVATIONS:
        ratios = deep_net.gradient_ratios(configuration, activation, normalization="batch")
        found.add(f"gradient, {activation}: {deep_net.RATIO}", *ratios)
    if configuration["train"]:
        study = deep_net.study(configuration, ACTIVATIONS, deep_net.SMALL, normalization=["batch"])
        result = shared.run(found, study, "batch-norm")
        for activation in ACTIVATIONS:
            deep_net.learned(found, result, activation, activation=activation)


CLAIM = Claim(
    name="remedy-batch-norm",
    source="Ioffe & Szegedy 2015, section 3.3; usual in textbooks",
    statement="Batch normalization relieves vanishing gradients.",
    configuration=CONFIGURATION,
    quick=QUICK,
    criteria=[kind(name, name) for name in ACTIVATIONS for kind in (teaches, restores)],
    measure=measure,
)
