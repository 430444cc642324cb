"""Is relu cheaper to compute than the sigmoid and tanh?"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from harness import timing
from harness.claim import Claim
from harness.measurements import Measurements
from jcnn import models
from textbook.shared import digit_images
from textbook.shared.criteria import TIME, at_least

FIGURE = "time relative to relu"
RELU, AGAIN = "relu", "relu again"
ARMS: dict[str, Callable[[Array], Array]] = {
    RELU: jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    AGAIN: jax.nn.relu,
}
CACHE, MEMORY, STEP = "in cache", "in memory", "a training step"
SETTINGS = (
    f"forward {CACHE}",
    f"forward and backward {CACHE}",
    f"forward {MEMORY}",
    f"forward and backward {MEMORY}",
    STEP,
)


def measure(configuration: Mapping[str, Any], measurements: Measurements) -> None:
    """Time each function alone, on few numbers and on many, and training steps with it."""
    keys = jax.random.split(jax.random.key(0), 2)
    few = jax.random.normal(keys[0], (configuration["few"],))
    many = jax.random.normal(keys[1], (configuration["many"],))
    times = configuration["times"]
    dataset = digit_images.enlarged_digits(3)

    def sample(setting: str, function: Callable[[Array], Array]) -> timing.Sample:
        if setting == STEP:
            build = partial(models.lenet, activation=function)
            return timing.time_step(build, dataset, configuration["steps"])
        passes = timing.forward_and_backward(function) if "backward" in setting else function
        if setting.endswith(CACHE):
            return timing.time_call(timing.iterate(passes, times), few)
        return timing.time_call(passes, many)

    for setting in SETTINGS:
        arms = {name: sample(setting, function) for name, function in ARMS.items()}
        ratios = timing.relative_times(arms, RELU, configuration["blocks"], configuration["rounds"])
        for name, values in ratios.items():
            measurements.add(f"{name}, {setting}: {FIGURE}", *values)


CLAIM = Claim(
    name="relu-cheap",
    source="Glorot, Bordes & Bengio 2011; usual in textbooks",
    statement="relu is cheaper to compute than the sigmoid and tanh.",
    configuration={
        "few": 2**14,
        "many": 2**22,
        "times": 200,
        "steps": 8,
        "blocks": 5,
        "rounds": 5,
    },
    criteria=[
        at_least(f"{name}, {setting}: {FIGURE}", TIME, f"{AGAIN}, {setting}: {FIGURE}")
        for setting in SETTINGS
        for name in ("sigmoid", "tanh")
    ],
    measure=measure,
)
