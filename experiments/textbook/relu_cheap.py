"""Is relu cheaper to compute than the sigmoid and tanh, on this device?"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from harness.claim import Claim
from harness.found import Found
from jcnn import models
from textbook import canvas, timing
from textbook.criteria import TIME, at_least

FIGURE = "time over relu's"
RELU, AGAIN = "relu", "relu again"
SIDES: dict[str, Callable[[Array], Array]] = {
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


def measure(configuration: Mapping[str, Any], found: Found) -> None:
    """Times of the function alone, on few numbers and on many, and of steps with it."""
    keys = jax.random.split(jax.random.key(0), 2)
    few = jax.random.normal(keys[0], (configuration["few"],))
    many = jax.random.normal(keys[1], (configuration["many"],))
    times = configuration["times"]
    dataset = canvas.enlarged(3)

    def sample(setting: str, function: Callable[[Array], Array]) -> timing.Sample:
        if setting == STEP:
            build = partial(models.lenet, activation=function)
            return timing.steps(build, dataset, configuration["steps"])
        used = timing.backward(function) if "backward" in setting else function
        if setting.endswith(CACHE):
            return timing.calls(timing.repeated(used, times), few)
        return timing.calls(used, many)

    for setting in SETTINGS:
        sides = {name: sample(setting, function) for name, function in SIDES.items()}
        over = timing.over(sides, RELU, configuration["blocks"], configuration["rounds"])
        for name, values in over.items():
            found.add(f"{name}, {setting}: {FIGURE}", *values)


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
