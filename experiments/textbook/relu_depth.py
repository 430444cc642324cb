"""Does relu keep gradients through depth, where sigmoid and tanh lose them?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.claim import Claim
from harness.found import Found, row_of
from textbook import deep_net, shared
from textbook.criteria import POINTS, at_least, between
from textbook.deep_net import KEPT, LEARNS, RATIO
from textbook.paired import percent

# Each from the weights that suit it.
SUITED = {"relu": "He", "tanh": "Xavier", "sigmoid": "Xavier"}
DEPTHS = (5, 10, 20, 40)
KEPT_MORE = "the ratio of relu over that of tanh"
AHEAD = {name: f"test accuracy, relu less {name}, points" for name in ("sigmoid", "tanh")}
REACH = f"greatest depth tried with {LEARNS[0]:.0f}% of the test set"


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Gradients at initialization and accuracies, of each activation at each depth."""
    for depth in configuration["depth"]:
        ratios = {
            name: np.array(
                deep_net.gradient_ratios(configuration, name, initial=initial, depth=depth)
            )
            for name, initial in SUITED.items()
        }
        for name, values in ratios.items():
            found.add(_gradient(name, depth), *values)
        more = ratios["relu"] / ratios["tanh"]
        found.add(f"gradient against tanh, depth {depth}: {KEPT_MORE}", *more)
    if configuration["train"]:
        _train(configuration, found)


def _train(configuration: Mapping[str, Any], found: Found) -> None:
    depths = configuration["depth"]
    accuracies = {}
    for name, initial in SUITED.items():
        study = deep_net.study(configuration, (name,), initial)
        result = shared.run(found, study, f"depth-{name}")
        rows = [row_of(result, depth=str(depth)) for depth in depths]
        accuracies[name] = np.array([percent(row) for row in rows])
        for depth, values in zip(depths, accuracies[name], strict=True):
            found.add(f"learning, {name}, depth {depth}: {deep_net.ACCURACY}", *values)
        learned = np.where(accuracies[name] >= LEARNS[0], np.array(depths)[:, None], 0)
        found.add(f"reach, {name}: {REACH}", *learned.max(axis=0))
    for other, figure in AHEAD.items():
        for i, depth in enumerate(depths):
            ahead = accuracies["relu"][i] - accuracies[other][i]
            found.add(f"learning against {other}, depth {depth}: {figure}", *ahead)
    reach = {name: np.mean(found.figures[f"reach, {name}: {REACH}"]) for name in SUITED}
    told = ", ".join(f"{name} {value:.3g}" for name, value in reach.items())
    found.notes.append(f"{REACH}, mean over seeds: {told}")


def _gradient(name: str, depth: int) -> str:
    return f"gradient, {name}, depth {depth}: {RATIO}"


CLAIM = Claim(
    name="relu-depth",
    source="Glorot, Bordes & Bengio 2011; usual in textbooks",
    statement="relu keeps gradients through depth, where sigmoid and tanh lose them.",
    configuration={
        "depth": DEPTHS,
        "width": 8,
        "learning_rates": (1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
        "seeds": 4,
        "epochs": 10,
        "train": True,
    },
    quick={"depth": DEPTHS[:2], "seeds": 2, "train": False},
    criteria=[
        between(f"reach, relu: {REACH}", 20.0, 40.0, f"reach, sigmoid: {REACH}"),
        *(
            between(_gradient("relu", depth), *KEPT, _gradient("sigmoid", depth))
            for depth in DEPTHS
        ),
        *(at_least(f"gradient against tanh, depth {depth}: {KEPT_MORE}", 2.0) for depth in DEPTHS),
        *(
            at_least(f"learning against {other}, depth {depth}: {figure}", POINTS)
            for other, figure in AHEAD.items()
            for depth in DEPTHS
        ),
    ],
    measure=measure,
)
