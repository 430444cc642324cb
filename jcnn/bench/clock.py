"""Timing on noisy machines: every side once a round, so that drift meets all of them alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

# What the name of a rival's side begins with.
RIVALS = ("flax", "torch")
# A side that has just finished may leave threads spinning for a moment.
_SETTLE = 0.02
# A side whose sample takes more seconds than this is sampled in one round of five alone.
_SLOW = 2.0


class Timing(NamedTuple):
    """Seconds of one unit of work: median and quartiles of `n` samples."""

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, samples: list[float]) -> "Timing":
        """Summarize samples."""
        low, median, high = np.percentile(samples, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(samples))


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Each side gives the seconds of one unit of work; one sample of each a round, after a warm-up.

    The order turns round by round, so that nobody always follows the same neighbour. A slow side
    takes part in every fifth round, the first among them, and its `n` says so.
    """
    samples: dict[str, list[float]] = {name: [] for name in sides}
    slow: set[str] = set()
    names = list(sides)
    for done in range(rounds + 1):
        for name in names[done % len(names) :] + names[: done % len(names)]:
            if name in slow and done % 5 != 1:
                continue
            time.sleep(_SETTLE)
            began = time.perf_counter()
            seconds = sides[name]()
            if time.perf_counter() - began > _SLOW:
                slow.add(name)
            if done:
                samples[name].append(seconds)
    return {name: Timing.of(found) for name, found in samples.items()}


def milliseconds(timings: Mapping[str, Timing]) -> dict[str, dict[str, float]]:
    """Timings by side as plain values."""
    return {
        name: {k: v if k == "n" else v * 1e3 for k, v in timing._asdict().items()}
        for name, timing in timings.items()
    }


def ratios(timings: Mapping[str, Timing], ours: float) -> dict[str, float]:
    """How many times as long as our seconds the best side of each rival takes."""
    found = {}
    for rival in RIVALS:
        medians = [timing.median for name, timing in timings.items() if name.startswith(rival)]
        if medians:
            found[rival] = min(medians) / ours
    return found


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds of one call, its result waited for."""
    began = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began


def repeats(once: Callable[[], float], *, seconds: float = 0.05, most: int = 1000) -> int:
    """How many calls make a sample of about `seconds`; the first call warms up."""
    once()
    return int(np.clip(seconds / max(once(), 1e-7), 1, most))
