"""Calls timed in the present process, for tests that use the fixture `jcnn_bench`."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jcnn import engine
from jcnn.bench.clock import repeats, timed


@dataclass(frozen=True)
class Calls:
    """Seconds per call by round, and the programs that were compiled during the rounds."""

    seconds: Sequence[float]
    compilations: int

    @property
    def median(self) -> float:
        """The median of the seconds per call."""
        return statistics.median(self.seconds)


def time_calls(function: Callable[..., Any], *arguments: Any, rounds: int = 20) -> Calls:
    """Time calls of a function, each until its result is ready, after a warm-up.

    The function is called as it is: jit it before.

    >>> import jax.numpy as jnp
    >>> time_calls(jax.jit(jnp.sin), jnp.ones(8), rounds=3).compilations
    0
    """
    times = repeats(lambda: timed(function, *arguments))
    before, samples = engine.compilations(), []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(times):
            jax.block_until_ready(function(*arguments))
        samples.append((time.perf_counter() - began) / times)
    done = engine.compilations().since(before)
    return Calls(samples, done.compiled + done.loaded)


def as_pytest_benchmark(calls: dict[str, Calls]) -> dict[str, Any]:
    """Return timings by name in the format of pytest-benchmark's files.

    >>> content = as_pytest_benchmark({"test_a": Calls([1.0, 3.0], 0)})
    >>> content["benchmarks"][0]["stats"]["median"]
    2.0
    """
    return {
        "machine_info": {"node": jax.devices()[0].device_kind},
        "datetime": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "version": "jcnn",
        "benchmarks": [
            {
                "name": name.rpartition("::")[2],
                "fullname": name,
                "stats": {
                    "data": [*each.seconds],
                    "rounds": len(each.seconds),
                    "min": min(each.seconds),
                    "max": max(each.seconds),
                    "mean": statistics.mean(each.seconds),
                    "median": each.median,
                },
            }
            for name, each in calls.items()
        ],
    }
