"""The runs axis: which devices carry it, and how runs are placed on them."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

RUNS = "runs"


def use_all_cores() -> None:
    """Ask JAX for one CPU device a core, so that the runs axis spans them all.

    This only works before JAX first touches a device; later it changes nothing. A count that the
    user has set (`jax_num_cpu_devices`, or XLA_FLAGS) is left alone.

    >>> before = jax.local_device_count()  # JAX touches its devices here, so it is too late
    >>> use_all_cores()
    >>> jax.local_device_count() == before
    True
    """
    chosen = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or jax.config.jax_num_cpu_devices > 0:
        return
    try:
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    except (RuntimeError, AttributeError):
        return  # JAX is already running, or the platform cannot count its cores


def runs_mesh(runs: int) -> Mesh:
    """A mesh of all local devices, or fewer where there are fewer runs."""
    devices = jax.local_devices()
    return Mesh(np.array(devices[: min(len(devices), max(runs, 1))]), (RUNS,))


def shard_runs(mesh: Mesh, tree: Any) -> Any:
    """Place arrays whose first axis counts runs, a share on each device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(RUNS)))


def replicate(mesh: Mesh, tree: Any) -> Any:
    """Place the same arrays on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def runs_shapes(mesh: Mesh, tree: Any) -> Any:
    """What `shard_runs` would place, as shapes to compile for."""
    return _shapes(tree, NamedSharding(mesh, PartitionSpec(RUNS)))


def replicated_shapes(mesh: Mesh, tree: Any) -> Any:
    """What `replicate` would place, as shapes to compile for."""
    return _shapes(tree, NamedSharding(mesh, PartitionSpec()))


def padded(runs: int, mesh: Mesh) -> int:
    """`runs` rounded up to a multiple of the devices."""
    return -(-runs // mesh.size) * mesh.size


def _shapes(tree: Any, sharding: NamedSharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )
