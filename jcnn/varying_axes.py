"""`shard_map` requires the operands of a primitive to vary over the same mesh axes."""

import jax
from jax import Array


def equally_varying(*operands: Array) -> tuple[Array, ...]:
    """Mark each operand as varying over every axis that any of them varies over."""
    varying = [jax.typeof(operand).manual_axis_type.varying for operand in operands]
    union = frozenset().union(*varying)
    return tuple(
        jax.lax.pcast(operand, tuple(sorted(union - axes)), to="varying")
        if union - axes
        else operand
        for operand, axes in zip(operands, varying, strict=True)
    )
