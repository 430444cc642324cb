"""Training of many models: together, in chunks, and one after another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax.numpy as jnp

from accelerator_parts.part import Setting
from jcnn.bench.clock import interleaved
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import WORKLOADS, Workload

DIGITS, CNN, RESNET = WORKLOADS


class Way(NamedTuple):
    """How `runs` models train: `at_once` of them at a time, or all (None)."""

    runs: int
    at_once: int | None


WAYS = {
    "28x28 CNN": [
        *(Way(runs, None) for runs in (1, 4, 16, 64, 256, 512)),
        *(Way(4, 1), Way(16, 1), Way(64, 8), Way(256, 8)),
    ],
    "ResNet-20": [Way(1, None), Way(8, None), Way(32, None), Way(8, 1), Way(32, 4)],
}


def studies(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time the steps of each network in each way; all are compiled first, in threads."""
    if setting.smoke:
        small = [Way(2, None), Way(2, 1), Way(3, 2)]
        yield from _measure(setting, DIGITS, small, None)
        return
    yield from _measure(setting, CNN, WAYS[CNN.name], None)
    yield from _measure(setting, RESNET, WAYS[RESNET.name], None)
    yield from _measure(setting, RESNET, WAYS[RESNET.name], jnp.bfloat16)
    yield from _measure(setting, CNN, WAYS[CNN.name][:4], jnp.bfloat16)


def _measure(
    setting: Setting, workload: Workload, ways: list[Way], dtype: Any
) -> Iterator[tuple[str, Any]]:
    name = f"{workload.name}, {jnp.dtype(dtype or jnp.float32).name}"
    if not setting.in_time(name):
        return

    def compile_way(way: Way) -> EngineTraining | str:
        try:
            return EngineTraining(workload, way.runs, dtype, at_once=way.at_once)
        except Exception as error:  # out of memory, say
            return f"{type(error).__name__}: {error}"[:300]

    with ThreadPoolExecutor(8) as pool:
        sides = dict(zip(map(_label, ways), pool.map(compile_way, ways), strict=True))
    failed = {label: side for label, side in sides.items() if isinstance(side, str)}
    compiled = {label: side for label, side in sides.items() if isinstance(side, EngineTraining)}
    timings = interleaved({label: side.sample for label, side in compiled.items()}, setting.rounds)
    measured = {
        label: {
            "ms per step and model": 1e3 * timings[label].median,
            "model steps per second": 1 / timings[label].median,
            "TFLOP/s": workload.flops() / timings[label].median / 1e12,
            "megabytes": side.compiled.memory / 1e6,
            "compile seconds": side.compile_seconds,
        }
        for label, side in compiled.items()
    }
    yield name, measured | ({"failed": failed} if failed else {})


def _label(way: Way) -> str:
    return f"{way.runs} models, {way.at_once or 'all'} at once"
