"""Whether the same work gives the same bits again, and what an XLA flag changes about it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from accelerator_parts.part import Setting
from jcnn import engine
from jcnn.bench.catalogue import catalogue
from jcnn.bench.engine_side import EngineTraining
from jcnn.bench.ops import forward_backward
from jcnn.bench.workloads import WORKLOADS

DIGITS, CNN, RESNET = WORKLOADS
FLAG = "--xla_gpu_exclude_nondeterministic_ops=true"
REPEATS = 5


def repeatability(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Repeat every operation, and the training of two networks, without and with the flag."""
    yield "operations that differ", _operations(setting)
    yield from _networks(setting)
    if FLAG not in os.environ.get("XLA_FLAGS", "") and setting.in_time(FLAG):
        yield f"with {FLAG}", _with_flag(setting)


def _operations(setting: Setting) -> dict[str, float]:
    """Return the largest difference between repetitions, of the operations that have one."""
    differences = {}
    for op in catalogue()[::8] if setting.smoke else catalogue():
        if not setting.in_time(op.name):
            continue
        operands = op.operands()
        dy = jnp.cos(op.function(*operands))
        both = jax.jit(forward_backward(op.function))
        first, *others = ([np.asarray(y) for y in both(dy, *operands)] for _ in range(REPEATS))
        comparisons = [_compare(first, other) for other in others]
        if not all(comparison["equal bit for bit"] for comparison in comparisons):
            differences[op.name] = max(c["largest difference"] for c in comparisons)
    return differences


def _networks(setting: Setting) -> Iterator[tuple[str, Any]]:
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
                "ms per step and model": 1e3 * min(first.sample() for _ in range(setting.rounds)),
            },
        )


def _with_flag(setting: Setting) -> dict[str, Any]:
    """Return what this part measures in a process of its own, with the flag."""
    script = Path(__file__).parents[1] / "accelerator.py"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}".strip()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--only", "repeatability", "--out", folder, *(["--smoke"] * setting.smoke)]
        subprocess.run(
            [sys.executable, str(script), *options],
            env={**os.environ, "XLA_FLAGS": flags},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        content = json.loads((Path(folder) / "results.json").read_text())
    part: dict[str, Any] = content["parts"]["repeatability"]
    return {key: value for key, value in part.items() if key not in ("left out", "seconds")}


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
