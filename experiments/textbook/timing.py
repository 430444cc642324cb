"""Times as ratios: every side once a round, medians over rounds, one ratio a block of rounds."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from jcnn import engine, training
from jcnn.bench.clock import interleaved, repeats, timed
from jcnn.data import Dataset

Sample = Callable[[], float]


def over(sides: Mapping[str, Sample], base: str, blocks: int, rounds: int) -> dict[str, np.ndarray]:
    """Each side's median time over that of `base`, one value a block."""
    found: dict[str, list[float]] = {name: [] for name in sides if name != base}
    for _ in range(blocks):
        timings = interleaved(sides, rounds)
        for name, values in found.items():
            values.append(timings[name].median / timings[base].median)
    return {name: np.array(values) for name, values in found.items()}


def calls(function: Callable[..., Any], *operands: Array) -> Sample:
    """Seconds of one call of the compiled function."""
    compiled = jax.jit(function).lower(*operands).compile()
    times = repeats(lambda: timed(compiled, *operands))
    return lambda: sum(timed(compiled, *operands) for _ in range(times)) / times


def backward(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Forward and backward: the gradient that comes in is what went out."""

    def both(x: Array) -> Array:
        y, pullback = jax.vjp(function, x)
        return pullback(y)[0]

    return both


def repeated(function: Callable[[Array], Array], times: int) -> Callable[[Array], Array]:
    """The function so many times, each on what the one before gave, in one compiled loop."""
    return lambda x: jax.lax.fori_loop(0, times, lambda _, now: function(now), x)


def steps(build: Callable[..., Any], dataset: Dataset, count: int) -> Sample:
    """Seconds of a training step (SGD with momentum, batches of 64), by `count` steps at a time.

    `build(input_shape, outputs, rngs=)` makes the model. There is one model on each device, so that
    all cores work.
    """
    recipe = training.Recipe(
        training.classification(), training.optimizers.momentum, "constant", 10**6, 0, None
    )
    numbers = training.Hyperparameters(1e-3, 0.9, 0.0)
    group = engine.Group(
        [lambda rngs: build(dataset.input_shape, dataset.num_classes, rngs=rngs)],
        [engine.Run(0, seed, numbers) for seed in range(jax.local_device_count())],
        recipe,
        batch_size=64,
        epochs=1,
    )
    under_way = engine.Training(engine.CompiledGroup(group, engine.prepare(dataset, 0.2)))
    under_way.start(0)

    def sample() -> float:
        began = time.perf_counter()
        stop, _ = under_way.train(0, count)
        return (time.perf_counter() - began) / stop

    return sample
