"""Whether the same training gives the same bits again."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from flax import nnx

from accelerator_parts.part import Setting
from jcnn import engine
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.workloads import WORKLOADS

DIGITS, CNN, RESNET = WORKLOADS


def repeatability(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Train each network three times: twice with one program, once with a program compiled anew.

    Given are whether the parameters are equal bit for bit, and the largest difference of one.
    """
    networks = [(DIGITS, 2)] if setting.smoke else [(CNN, 8), (RESNET, 4)]
    for workload, runs in networks:
        if not setting.in_time(workload.name):
            continue
        short = replace(workload, examples=320) if setting.smoke else workload
        first = EngineTraining(short, runs)
        again = EngineTraining(short, runs)
        states = [_train(side.compiled) for side in (first, first, again)]
        yield (
            f"{workload.name}, {runs} models, {first.steps} steps",
            {
                "same program": _compare(states[0], states[1]),
                "compiled again": _compare(states[0], states[2]),
            },
        )


def _train(compiled: engine.CompiledGroup) -> list[np.ndarray]:
    """Return the parameters of every run after an epoch."""
    training = engine.Training(compiled)
    for _ in training.run():
        pass
    models = [training.model(run) for run in range(len(compiled.group.runs))]
    params = [nnx.to_pure_dict(nnx.state(model, nnx.Param)) for model in models]
    return [np.asarray(leaf) for leaf in jax.tree.leaves(params)]


def _compare(first: list[np.ndarray], second: list[np.ndarray]) -> dict[str, Any]:
    pairs = list(zip(first, second, strict=True))
    return {
        "equal bit for bit": all(a.tobytes() == b.tobytes() for a, b in pairs),
        "largest difference": max(float(np.max(np.abs(a - b))) for a, b in pairs),
    }
