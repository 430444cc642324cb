"""Values and gradients of every operation on the device, against the CPU's in float64."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from accelerator_parts.part import Setting
from jcnn.bench.catalogue import Op, catalogue

BATCH, SIZE = 4, 14


def exactness(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Return the largest relative error of output and gradients, by precision of the products.

    The error of an array is the norm of the difference over the norm of the array. What an
    operation draws at random differs between float32 and float64, so the reference of stochastic
    pooling is the CPU's in float32.
    """
    for op in catalogue()[::8] if setting.smoke else catalogue():
        if not setting.in_time(op.name):
            continue
        small = replace(op, shape=(BATCH, SIZE, SIZE, op.shape[-1]))
        operands = [np.asarray(operand) for operand in small.operands()]
        dtype = np.float32 if op.kind == "stochastic" else np.float64
        reference = _on_cpu(small, operands, dtype)
        precisions = ("highest", "default") if op.kernel else ("highest",)
        yield op.name, {p: _error(_on_device(small, operands, p), reference) for p in precisions}


def _both(op: Op, operands: list[np.ndarray]) -> list[np.ndarray]:
    def run(*arrays: Any) -> Any:
        y, pullback = jax.vjp(op.function, *arrays)
        return [y, *pullback(jnp.cos(y))]

    return [np.asarray(array) for array in jax.jit(run)(*map(jnp.asarray, operands))]


def _on_cpu(op: Op, operands: list[np.ndarray], dtype: Any) -> list[np.ndarray]:
    with jax.default_device(jax.devices("cpu")[0]), jax.enable_x64(dtype is np.float64):
        return _both(op, [operand.astype(dtype) for operand in operands])


def _on_device(op: Op, operands: list[np.ndarray], precision: str) -> list[np.ndarray]:
    with jax.default_matmul_precision(precision):
        return _both(op, operands)


def _error(arrays: list[np.ndarray], reference: list[np.ndarray]) -> float:
    return max(
        float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))
        for a, b in zip(arrays, reference, strict=True)
    )
