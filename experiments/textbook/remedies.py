"""What the four sentences on remedies of vanishing gradients have in common."""

from typing import Any

from harness.claim import Criterion
from textbook.criteria import between
from textbook.deep_net import ACCURACY, KEPT, LEARNS, RATIO, SMALL, no_remedy

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
    """The remedy restores the gradient; without any remedy it is not kept."""
    null = no_remedy(activation, RATIO, initial)
    return between(f"gradient, {name}: {RATIO}", *KEPT, null)


def teaches(name: str, activation: str, initial: str = SMALL) -> Criterion:
    """With the remedy the net learns; without any it does not."""
    null = no_remedy(activation, ACCURACY, initial)
    return between(f"learning, {name}: {ACCURACY}", *LEARNS, null)
