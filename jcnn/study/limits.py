"""Limits of sizes: what would never finish compiling, or not fit this machine, is an error."""

import math
import os
from collections.abc import Callable, Iterable
from typing import Any

import jax
from flax import nnx

from jcnn.errors import UsageError

DEEPEST = 250
# Weights, gradients and the state of most optimizers.
_COPIES = 3


def check_depth(build: Callable[..., Any], depths: Iterable[Any]) -> None:
    """Raise UsageError if one of jcnn's own models would be too deep to finish compiling."""
    if not str(getattr(build, "__module__", "")).startswith("jcnn.models"):
        return
    for depth in depths:
        if isinstance(depth, (int, float)) and not depth <= DEEPEST:
            raise UsageError(
                f"depth={depth}; expected at most {DEEPEST}: every layer is compiled on its own, "
                "which would take too long"
            )


def too_large(model: nnx.Module) -> str | None:
    """Return why a model, which may be abstract, does not fit this machine; None if it may fit."""
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    numbers = sum(math.prod(leaf.shape) for leaf in leaves)
    needed = _COPIES * sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    available = memory_bytes()
    if available is None or needed <= available:
        return None
    return (
        f"it has {numbers:,} parameters, which take {needed / 1e9:,.0f} GB with their gradients "
        f"and optimizer; this machine has {available / 1e9:,.0f} GB"
    )


def memory_bytes() -> int | None:
    """Return the bytes of memory of the device, or of the machine if it is the device."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return int(limit)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None
