"""Timing on noisy machines: every side runs once per round, so drift affects all of them alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

# Prefixes of the names of the sides that jcnn is compared with.
RIVALS = ("flax", "torch")
# Seconds between samples: a side that has finished may leave threads spinning for a moment.
_SETTLE = 0.02
# A side whose sample takes more seconds than this is sampled in every fifth round only.
_SLOW = 2.0


class Timing(NamedTuple):
    """Seconds per unit of work: median and quartiles of `n` samples."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, samples: list[float]) -> "Timing":
        """Return the summary of samples."""
        low, median, high = np.percentile(samples, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(samples))


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Time all sides in turns; each function returns the seconds of one unit of work.

    After a warm-up round, each side is sampled once per round. The order rotates, so that no side
    always follows the same one. A slow side is sampled in every fifth round only, starting with the
    first, and its `n` is smaller.
    """
    samples: dict[str, list[float]] = {name: [] for name in sides}
    slow: set[str] = set()
    names = list(sides)
    for index in range(rounds + 1):  # round 0 is the warm-up
        for name in names[index % len(names) :] + names[: index % len(names)]:
            if name in slow and index % 5 != 1:
                continue
            time.sleep(_SETTLE)
            began = time.perf_counter()
            seconds = sides[name]()
            if time.perf_counter() - began > _SLOW:
                slow.add(name)
            if index:
                samples[name].append(seconds)
    return {name: Timing.of(values) for name, values in samples.items()}


def milliseconds(timings: Mapping[str, Timing]) -> dict[str, dict[str, float]]:
    """Return timings in milliseconds, by side, as plain values."""
    return {
        name: {k: v if k == "n" else v * 1e3 for k, v in timing._asdict().items()}
        for name, timing in timings.items()
    }


def ratios(timings: Mapping[str, Timing], ours: float) -> dict[str, float]:
    """Return the time of each rival's best side, divided by `ours` (seconds)."""
    result = {}
    for rival in RIVALS:
        medians = [timing.median for name, timing in timings.items() if name.startswith(rival)]
        if medians:
            result[rival] = min(medians) / ours
    return result


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the seconds of one call, until its result is ready."""
    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began


def repeats(once: Callable[[], float], *, seconds: float = 0.05, most: int = 1000) -> int:
    """Return how many calls take about `seconds` together; the first call is a warm-up."""
    once()
    return int(np.clip(seconds / max(once(), 1e-7), 1, most))


def call_sampler(function: Callable[..., Any], *operands: Any) -> Callable[[], float]:
    """Return a sampler of the seconds per call of a compiled function.

    On an accelerator, calls are enqueued one after another, so that each starts as soon as the one
    before has ended. On a CPU, each is awaited.
    """
    times = repeats(lambda: timed(function, *operands))
    if jax.default_backend() == "cpu":
        return lambda: sum(timed(function, *operands) for _ in range(times)) / times

    def sample() -> float:
        began = time.perf_counter()
        for _ in range(times):
            result = function(*operands)
        jax.block_until_ready(result)
        return (time.perf_counter() - began) / times

    return sample
