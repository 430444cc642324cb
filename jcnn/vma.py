"""Operands of a primitive under `shard_map`, which wants them to vary over the same mesh axes."""

import jax
from jax import Array


def equally_varying(*operands: Array) -> tuple[Array, ...]:
    """The operands, each marked as varying over every axis that any of them varies over."""
    varying = [jax.typeof(operand).manual_axis_type.varying for operand in operands]
    union = frozenset().union(*varying)
    return tuple(
        jax.lax.pcast(operand, tuple(sorted(union - own)), to="varying") if union - own else operand
        for operand, own in zip(operands, varying, strict=True)
    )
