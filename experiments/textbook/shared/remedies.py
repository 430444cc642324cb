"""The configuration and criteria of the four claims on remedies for vanishing gradients."""

from typing import Any

from harness.claim import Criterion
from textbook.shared.criteria import between
from textbook.shared.vanishing_gradients import ACCURACY, LEARNS, PRESERVED, RATIO, SMALL, no_remedy

CONFIGURATION: dict[str, Any] = {
    "depth": 10,
    "width": 8,
    "learning_rates": (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
    "seeds": 5,
    "epochs": 12,
    "train": True,
}
QUICK: dict[str, Any] = {"seeds": 2, "train": False}


def restores(name: str, activation: str, initial: str = SMALL) -> Criterion:
    """Require that the remedy restores the gradient, which vanishes without a remedy."""
    null = no_remedy(activation, RATIO, initial)
    return between(f"gradient, {name}: {RATIO}", *PRESERVED, null)


def learns(name: str, activation: str, initial: str = SMALL) -> Criterion:
    """Require that the network learns with the remedy, and does not without."""
    null = no_remedy(activation, ACCURACY, initial)
    return between(f"learning, {name}: {ACCURACY}", *LEARNS, null)
