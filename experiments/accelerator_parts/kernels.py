"""What the device does during a training step: its kernels, and how long it waits for them."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp

from accelerator_parts.part import Setting
from jcnn.bench import profile
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import WORKLOADS

DIGITS, CNN, RESNET = WORKLOADS
TRAININGS = [(CNN, 16, None), (RESNET, 32, jnp.bfloat16), (CNN, 1, None), (RESNET, 1, None)]
MOST_OPERATIONS = 15


def kernels(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Profile an epoch of each training; times are milliseconds per step of all models."""
    for workload, runs, dtype in [(DIGITS, 2, None)] if setting.smoke else TRAININGS:
        label = f"{workload.name}, {jnp.dtype(dtype or jnp.float32).name}, {runs} models"
        if not setting.in_time(label):
            continue
        training = EngineTraining(workload, runs, dtype)
        training.sample()
        unprofiled = min(training.sample() for _ in range(setting.rounds))
        result = profile(training.sample)
        steps = training.steps
        yield (
            label,
            {
                "step": round(1e3 * unprofiled * runs, 4),
                "step, profiled": round(result.span / steps, 4),
                "busy": round(result.busy / steps, 4),
                "operations per step": sum(o.executions for o in result.operations) / steps,
                "by category": {
                    kind: round(ms / steps, 4) for kind, ms in result.by_category().items()
                },
                "slowest": [
                    {
                        "name": operation.name,
                        "kernel": operation.kernel[:100],
                        "milliseconds": round(operation.milliseconds / steps, 4),
                        "per step": round(operation.executions / steps, 2),
                    }
                    for operation in result.operations[:MOST_OPERATIONS]
                ],
            },
        )
