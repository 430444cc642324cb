"""Does relu preserve gradients through depth, where sigmoid and tanh lose them?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import study_cache
from harness.claim import Claim
from harness.measurements import Measurements, find_row
from harness.paired import percent
from textbook.shared import vanishing_gradients
from textbook.shared.criteria import POINTS, at_least, between
from textbook.shared.vanishing_gradients import LEARNS, PRESERVED, RATIO

# The initialization that suits each activation.
SUITED = {"relu": "He", "tanh": "Xavier", "sigmoid": "Xavier"}
DEPTHS = (5, 10, 20, 40)
RELATIVE = "relu's ratio over tanh's"
AHEAD = {name: f"test accuracy, relu minus {name}, points" for name in ("sigmoid", "tanh")}
REACH = f"greatest depth tried with {LEARNS[0]:.0f}% test accuracy"


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Measure gradients at initialization and accuracies of each activation at each depth."""
    for depth in configuration["depth"]:
        ratios = {
            name: np.array(
                vanishing_gradients.gradient_ratios(
                    configuration, name, initial=initial, depth=depth
                )
            )
            for name, initial in SUITED.items()
        }
        for name, values in ratios.items():
            measurements.add(_gradient_figure(name, depth), *values)
        relative = ratios["relu"] / ratios["tanh"]
        measurements.add(f"gradient against tanh, depth {depth}: {RELATIVE}", *relative)
    if configuration["train"]:
        _train(configuration, measurements)


def _train(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    depths = configuration["depth"]
    accuracies = {}
    for name, initial in SUITED.items():
        study = vanishing_gradients.build_study(configuration, (name,), initial)
        result = study_cache.run(measurements, study, f"depth-{name}")
        rows = [find_row(result, depth=str(depth)) for depth in depths]
        accuracies[name] = np.array([percent(row) for row in rows])
        for depth, values in zip(depths, accuracies[name], strict=True):
            measurements.add(
                f"learning, {name}, depth {depth}: {vanishing_gradients.ACCURACY}", *values
            )
        learned = np.where(accuracies[name] >= LEARNS[0], np.array(depths)[:, None], 0)
        measurements.add(f"reach, {name}: {REACH}", *learned.max(axis=0))
    for other, figure in AHEAD.items():
        for i, depth in enumerate(depths):
            lead = accuracies["relu"][i] - accuracies[other][i]
            measurements.add(f"learning against {other}, depth {depth}: {figure}", *lead)
    reach = {name: np.mean(measurements.figures[f"reach, {name}: {REACH}"]) for name in SUITED}
    values = ", ".join(f"{name} {value:.3g}" for name, value in reach.items())
    measurements.notes.append(f"{REACH}, mean over seeds: {values}")


def _gradient_figure(name: str, depth: int) -> str:
    return f"gradient, {name}, depth {depth}: {RATIO}"


CLAIM = Claim(
    name="relu-depth",
    source="Glorot, Bordes & Bengio 2011; usual in textbooks",
    statement="relu preserves gradients through depth, where sigmoid and tanh lose them.",
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
            between(_gradient_figure("relu", depth), *PRESERVED, _gradient_figure("sigmoid", depth))
            for depth in DEPTHS
        ),
        *(at_least(f"gradient against tanh, depth {depth}: {RELATIVE}", 2.0) for depth in DEPTHS),
        *(
            at_least(f"learning against {other}, depth {depth}: {figure}", POINTS)
            for other, figure in AHEAD.items()
            for depth in DEPTHS
        ),
    ],
    measure=measure,
)
