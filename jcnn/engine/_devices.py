"""The runs axis: the devices that share the runs, and the placement of arrays on them."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

RUNS = "runs"


def use_all_cores() -> None:
    """Configure JAX with one CPU device per core, so that the runs axis spans all cores.

    Call this before JAX's first computation; afterwards it has no effect. A device count set by the
    user (`jax_num_cpu_devices` or XLA_FLAGS) is kept.

    >>> before = jax.local_device_count()  # initializes JAX's devices, so the call comes too late
    >>> use_all_cores()
    >>> jax.local_device_count() == before
    True
    """
    set_by_flag = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if set_by_flag or jax.config.jax_num_cpu_devices > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    except (RuntimeError, AttributeError):
        return  # JAX is already running, or the platform cannot count its cores


def runs_mesh(runs: int) -> Mesh:
    """Return a mesh of all local devices, or of `runs` devices if that is fewer."""
    devices = jax.local_devices()
    return Mesh(np.array(devices[: min(len(devices), max(runs, 1))]), (RUNS,))


def shard_runs(mesh: Mesh, tree: Any) -> Any:
    """Shard arrays over the devices along their first axis, the runs axis."""
    if mesh.size > 1:
        # JAX compiles a program of slices for every shape of an array that is on one device;
        # NumPy's slices are views.
        tree = jax.tree.map(_on_host, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(RUNS)))


def replicate(mesh: Mesh, tree: Any) -> Any:
    """Copy arrays to every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def sharded_shapes(mesh: Mesh, tree: Any) -> Any:
    """Return the shapes, dtypes and shardings of the result of `shard_runs`."""
    return _shapes(tree, NamedSharding(mesh, PartitionSpec(RUNS)))


def replicated_shapes(mesh: Mesh, tree: Any) -> Any:
    """Return the shapes, dtypes and shardings of the result of `replicate`."""
    return _shapes(tree, NamedSharding(mesh, PartitionSpec()))


def padded_count(runs: int, mesh: Mesh) -> int:
    """Round `runs` up to a multiple of the number of devices."""
    return -(-runs // mesh.size) * mesh.size


def _on_host(leaf: Any) -> Any:
    """An array of NumPy; keys of random numbers, which NumPy does not have, stay as they are."""
    return leaf if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)


def _shapes(tree: Any, sharding: NamedSharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )
