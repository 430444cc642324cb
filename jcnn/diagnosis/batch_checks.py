"""Checks of a batch before a network is diagnosed on it: faults of the data are named as such."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def check_batch(x: Any, labels: Any) -> None:
    """Raise ValueError if examples and labels do not fit, or hold values that are not finite."""
    arrays, targets = jax.tree.leaves(x), jax.tree.leaves(labels)
    inputs = ", ".join(str(array.shape) for array in arrays)
    outputs = ", ".join(str(target.shape) for target in targets)
    sizes = {len(array) if array.ndim else 0 for array in [*arrays, *targets]}
    if not arrays or not targets or len(sizes) > 1 or min(sizes) < 2:
        raise ValueError(
            f"inputs {inputs} and labels {outputs}; expected one label for each of at least two "
            "examples"
        )
    for name, values in [*(("inputs", a) for a in arrays), *(("labels", t) for t in targets)]:
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            continue
        finite = np.isfinite(np.asarray(values, np.float64)).reshape(len(values), -1).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"the data are at fault: the {name} of {(~finite).sum()} of {len(finite)} examples "
                f"hold NaN or infinity, first those of example {finite.argmin()}; remove or "
                "replace these values"
            )


def check_labels(labels: Any, outputs: Any) -> None:
    """Raise ValueError if integer labels are not indices of `outputs`, an array or its shape."""
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.ndim >= outputs.ndim:
        return
    classes = outputs.shape[-1]
    if classes < 2:
        raise ValueError(
            f"integer labels and outputs of shape {tuple(outputs.shape)}: the softmax of one "
            "output is always 1; give the model two outputs, or diagnose it with a binary loss"
        )
    least, greatest = int(labels.min()), int(labels.max())
    if least < 0 or greatest >= classes:
        raise ValueError(
            f"the data are at fault: labels lie between {least} and {greatest}, but the model has "
            f"{classes} outputs, whose labels are 0 to {classes - 1}"
        )
