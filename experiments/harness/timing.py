"""Relative times: all arms interleaved in rounds, medians over rounds, one ratio per block."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from jcnn import engine, training
from jcnn.bench.clock import call_sampler, interleaved
from jcnn.data import Dataset

Sample = Callable[[], float]


def relative_times(
    arms: Mapping[str, Sample], base: str, blocks: int, rounds: int
) -> dict[str, np.ndarray]:
    """Return each arm's median time divided by that of `base`, one value per block of rounds."""
    ratios: dict[str, list[float]] = {name: [] for name in arms if name != base}
    for _ in range(blocks):
        timings = interleaved(arms, rounds)
        for name, values in ratios.items():
            values.append(timings[name].median / timings[base].median)
    return {name: np.array(values) for name, values in ratios.items()}


def time_call(function: Callable[..., Any], *operands: Array) -> Sample:
    """Return a sampler of the seconds per call of the compiled function."""
    return call_sampler(jax.jit(function).lower(*operands).compile(), *operands)


def forward_and_backward(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a function that runs both passes, with the output as the incoming gradient."""

    def both_passes(x: Array) -> Array:
        y, pullback = jax.vjp(function, x)
        return pullback(y)[0]

    return both_passes


def iterate(function: Callable[[Array], Array], times: int) -> Callable[[Array], Array]:
    """Return `function` applied `times` times to its own output, as one compiled loop."""
    return lambda x: jax.lax.fori_loop(0, times, lambda _, value: function(value), x)


def time_step(build: Callable[..., Any], dataset: Dataset, count: int) -> Sample:
    """Return a sampler of the seconds per training step, each sample averaged over `count` steps.

    Steps are SGD with momentum on batches of 64. `build(input_shape, outputs, rngs=)` makes the
    model; one model trains on each device, so that all cores are busy.
    """
    recipe = training.Recipe(
        training.classification(), training.optimizers.momentum, "constant", 10**6, 0, None
    )
    hyperparameters = training.Hyperparameters(1e-3, 0.9, 0.0)
    group = engine.Group(
        [lambda rngs: build(dataset.input_shape, dataset.num_classes, rngs=rngs)],
        [engine.Run(0, seed, hyperparameters) for seed in range(jax.local_device_count())],
        recipe,
        batch_size=64,
        epochs=1,
    )
    run = engine.Training(engine.CompiledGroup(group, engine.prepare(dataset, 0.2)))
    run.start(0)

    def sample() -> float:
        start = time.perf_counter()
        stop, _ = run.train(0, count)
        return (time.perf_counter() - start) / stop

    return sample
