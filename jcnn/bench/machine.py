"""The machine: its measured peak rates of matmul and copying, and its description."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class Peaks(NamedTuple):
    """The best measured rates of this machine, of all devices together."""

    matmul_gflops: float
    copy_gbytes: float


def measure_peaks(dtype: Any = jnp.float32, *, rounds: int = 10) -> Peaks:
    """Measure matmul in GFLOP/s and copying in GB/s (bytes read and written).

    Both are measured on one device and on all. The best of `rounds` counts: noise can only make a
    round slower.

    >>> peaks = measure_peaks(rounds=1)
    >>> peaks.matmul_gflops > 0 and peaks.copy_gbytes > 0
    True
    """
    devices = jax.local_devices()
    on_cpu = devices[0].platform == "cpu"
    size, elements = (1024, 2**25) if on_cpu else (8192, 2**29)
    shares = sorted({1, len(devices)})
    matmul = max(
        _matmul(devices[:n], size, dtype, rounds, transposed)
        for n in shares
        for transposed in (False, True)
    )
    copy = max(_copy(devices[:n], elements // n, rounds) for n in shares)
    return Peaks(matmul / 1e9, copy / 1e9)


def hardware() -> dict[str, Any]:
    """Return versions, processor and devices, as stored with results.

    >>> sorted(hardware())[:4]
    ['cores', 'date', 'devices', 'flax']
    """
    devices = jax.local_devices()
    packages = ("jcnn", "jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "date": time.strftime("%Y-%m-%d"),
    }


def _best(function: Any, operand: Array, rounds: int) -> float:
    jax.block_until_ready(function(operand))
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(function(operand))
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _matmul(devices: list[Any], size: int, dtype: Any, rounds: int, transposed: bool) -> float:
    # XLA:CPU calls another library if the first operand is transposed.
    times = 4

    def chain(a: Array) -> Array:
        def step(_: Any, b: Array) -> Array:
            first = a.T if transposed else a
            return jnp.matmul(first, b, preferred_element_type=jnp.float32).astype(dtype)

        return jax.lax.fori_loop(0, times, step, a)

    a = _spread(np.eye(size, dtype=np.float32), devices, dtype)
    return len(devices) * times * 2 * size**3 / _best(_each(chain, devices), a, rounds)


def _copy(devices: list[Any], elements: int, rounds: int) -> float:
    times = 4

    def chain(a: Array) -> Array:
        return jax.lax.fori_loop(0, times, lambda _, b: b * jnp.float32(0.999), a)

    a = _spread(np.ones(elements, np.float32), devices, jnp.float32)
    return len(devices) * times * 2 * 4 * elements / _best(_each(chain, devices), a, rounds)


def _each(function: Any, devices: list[Any]) -> Any:
    """Map a function over the devices, each with its own part of an array."""
    mesh, spec = Mesh(np.array(devices), ("device",)), PartitionSpec("device")

    def local(a: Array) -> Array:
        return function(a[0])[None]

    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))


def _spread(part: np.ndarray, devices: list[Any], dtype: Any) -> Array:
    mesh = Mesh(np.array(devices), ("device",))
    whole = np.broadcast_to(part, (len(devices), *part.shape))
    placed = jax.device_put(whole, NamedSharding(mesh, PartitionSpec("device")))
    return placed.astype(dtype)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
