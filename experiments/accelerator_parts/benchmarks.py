"""`jcnn bench` on the device, with PyTorch on the same one."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import jax.numpy as jnp

from accelerator_parts.part import Setting
from jcnn.bench import Peaks, measure_peaks, run_ops, run_steps
from jcnn.bench.torch_side import TorchSide

# Operations, by a text in their names; those that compile fast come first.
OPERATIONS = (
    "batch_norm",
    "layer_norm",
    "group_norm",
    "gelu",
    "max_pool 2x2/2",
    "max_pool 3x3/2",
    "avg_pool 2x2/2",
    "avg_pool 3x3/2",
    "l2_pool 2x2/2",
    "l2_pool 3x3/2",
    "stochastic_pool 2x2/2",
    "soft_pool",
    "gem_pool",
    "conv 3x3 64->128",
    "conv 3x3 16->16",
    "conv 1x1",
    "depthwise",
)


def peaks(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Measure matrix products (float32 by XLA's default precision, and bfloat16) and copying."""
    for dtype in ("float32", "bfloat16"):
        yield dtype, measure_peaks(jnp.dtype(dtype), rounds=1 if setting.smoke else 10)._asdict()


def training(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time the train steps of each network, in float32 and bfloat16."""
    names = ("digits CNN",) if setting.smoke else ("28x28 CNN", "ResNet-20")
    with ExitStack() as stack:
        torch = _torch(setting, stack)
        if torch is not None:
            yield "PyTorch", torch.versions
        for dtype in (None,) if setting.smoke else (None, jnp.bfloat16):
            limits = Peaks(*measure_peaks(dtype or jnp.float32, rounds=1 if setting.smoke else 5))
            for name in names:
                label = f"{name}, {jnp.dtype(dtype or jnp.float32).name}"
                if not setting.in_time(label):
                    continue
                (result,) = run_steps(
                    limits,
                    rounds=setting.rounds,
                    versus=() if dtype or setting.smoke else ("flax",),
                    torch=torch,
                    dtype=dtype,
                    chosen=name.__eq__,
                )
                yield label, result.to_json()


def operations(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time the operations, forward and backward, in float32 and bfloat16."""
    with ExitStack() as stack:
        torch = _torch(setting, stack)
        if torch is not None:
            yield "PyTorch", torch.versions
        dtypes = ("float32",) if setting.smoke else ("float32", "bfloat16")
        limits = {dtype: measure_peaks(dtype, rounds=setting.rounds) for dtype in dtypes}
        texts = OPERATIONS[:1] if setting.smoke else OPERATIONS
        for text, dtype in itertools.product(texts, dtypes):
            if not setting.in_time(f"{text}, {dtype}"):
                continue
            for result in run_ops(
                limits[dtype],
                rounds=setting.rounds,
                versus=("flax",),
                torch=torch,
                dtype=dtype,
                chosen=lambda name, text=text: text in name,  # type: ignore[misc]
            ):
                yield f"{result.name}, {dtype}", result.to_json()


def _torch(setting: Setting, stack: ExitStack) -> TorchSide | None:
    if setting.torch_python is None:
        return None
    return stack.enter_context(TorchSide(setting.torch_python))
