"""What the models of a study's combinations cost: parameters and operations."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jcnn.study.job import Job
from jcnn.tracing import count_operations, trace


def model_costs(groups: Sequence[Job]) -> dict[str, list[float]]:
    """Return the parameters and the operations per example of each combination's model.

    Operations are those of a forward pass (`jcnn.diagnosis.summarize`). They are the same for all
    combinations of a group, which differ in initial values alone. NaN where a model cannot be
    traced.
    """
    count = sum(len(group.indices) for group in groups)
    costs = {name: [math.nan] * count for name in ("parameters", "flops")}
    for group in groups:
        members = [m for m, index in enumerate(group.indices) if index not in group.failures]
        if not members:
            continue
        try:
            parameters, flops = _cost(group, members[0])
        except Exception:  # whatever a user's model raises when it is traced in this way
            continue
        for m in members:
            costs["parameters"][group.indices[m]] = parameters
            costs["flops"][group.indices[m]] = flops
    return costs


def _cost(group: Job, m: int) -> tuple[float, float]:
    model = nnx.eval_shape(lambda: group.model(m, 0))
    x = jax.ShapeDtypeStruct((2, *group.dataset.input_shape), jnp.float32)
    traced = trace(model, x, activations=False)
    parameters = sum(math.prod(traced.leaves[index].shape) for index in traced.params)
    return float(parameters), count_operations(traced.program) / 2
