"""What mean-field theory predicts for each layer of a given model, on a given batch.

Every layer with weights is put in place of by its limit of infinite width: weighted sums are
Gaussian, with the covariance over examples and positions that independent weights of this variance
give, and gradients pass down as if the weights on their way were independent of those on the way up
(Schoenholz et al. 2017). What lies between, be it activation, normalization, pooling or a residual
branch, is the model's own program. Expectations over weights are taken by drawing them, as
neural-tangents does for layers that have no closed form (Novak et al. 2020).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.diagnosis.measure import Loss, measure, probe_of
from jcnn.tracing import TracedLayer, TracedModel, equations_up_to, run_equations, trace

DRAWS = 16


class Prediction(NamedTuple):
    """Of each layer, in the order of the calls: `std` of its output and `gradient`, |dL/dh| there.

    Both are as in `jcnn.diagnosis.LayerReport`: roots of the mean square over draws of the weights,
    for which the layers' present mean squares stand.
    """

    std: Sequence[float]
    gradient: Sequence[float]

    @property
    def factors(self) -> list[float | None]:
        """The gradient at each layer over that of the layer above; None for the last."""
        above = [*self.gradient[1:], 0.0]
        pairs = zip(self.gradient, above, strict=True)
        return [here / there if there else None for here, there in pairs]

    @property
    def gradient_ratio(self) -> float:
        """The gradient at the first layer over that at the last hidden one."""
        hidden = self.gradient[:-1] or self.gradient
        return hidden[0] / hidden[-1] if hidden[-1] else math.nan


def predict(
    model: nnx.Module, x: Any, labels: Any, loss: Loss, *, draws: int = DRAWS, seed: int = 0
) -> Prediction:
    """What theory expects of a model's layers on the batch `x` with `labels`.

    Kernels are taken by their mean square alone, other parameters as they are. The model is used in
    the mode that it is in. Raises ValueError for a model without weighted layers.

    >>> from flax import nnx
    >>> from jcnn import losses, models
    >>> model = models.mlp((64,), 10, hidden=(512, 512), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> found = predict(model, x, jnp.arange(128) % 10, losses.cross_entropy)
    >>> [round(std, 1) for std in found.std[:2]]  # he_normal, relu: sqrt(1 - 1/pi) = 0.83
    [0.8, 0.8]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    traced = trace(model, x)
    probe = probe_of(traced)

    @jax.jit
    def one(key: Array) -> tuple[Array, Array]:
        found, _ = measure(
            probe, traced.leaves, x, labels, loss, replace=_limits(traced, traced.leaves, key)
        )
        return found.std, found.gradient

    columns = zip(*map(one, jax.random.split(jax.random.key(seed), draws)), strict=True)
    std, gradient = (
        np.sqrt(np.mean(np.square(np.asarray(values, np.float64)), axis=0)).tolist()
        for values in columns
    )
    return Prediction(std, gradient)


def _limits(
    traced: TracedModel, leaves: Sequence[Any], key: Array
) -> dict[int, Callable[[Mapping[int, Any]], Any]]:
    """For the place of each block's weighted sums, what stands there in the limit."""
    up, down = (_drawn(traced, leaves, one) for one in jax.random.split(key))
    return {block.weighted: _limit(traced, block, up, down) for block in traced.layers}


def _drawn(traced: TracedModel, leaves: Sequence[Any], key: Array) -> dict[int, Any]:
    """The leaves by place, kernels being drawn anew with the mean square of what they are."""
    values = dict(zip(traced.program.inputs, leaves, strict=False))
    for index in {index for block in traced.layers for index in block.kernels}:
        leaf = leaves[index]
        scale = jnp.sqrt(jnp.mean(jnp.square(leaf.astype(jnp.float32))))
        normal = jax.random.normal(jax.random.fold_in(key, index), leaf.shape)
        values[traced.program.inputs[index]] = (scale * normal).astype(leaf.dtype)
    return values


def _limit(
    traced: TracedModel, block: TracedLayer, up: Mapping[int, Any], down: Mapping[int, Any]
) -> Callable[[Mapping[int, Any]], Any]:
    """The block's call with the weights of `up`, whose gradients pass by those of `down`."""
    equations = equations_up_to(traced.program, block.weighted, given=block.input)

    def layer(x: Array, known: Mapping[int, Any]) -> Array:
        weighted: Array = run_equations(equations, {**known, block.input: x})[block.weighted]
        return weighted

    def in_limit(values: Mapping[int, Any]) -> Array:
        batch = {traced.program.inputs[-1]: values[traced.program.inputs[-1]]}

        @jax.custom_vjp
        def weighted(x: Array) -> Array:
            return layer(x, {**up, **batch})

        def forward(x: Array) -> tuple[Array, Array]:
            return weighted(x), x

        def backward(x: Array, passed: Array) -> tuple[Array]:
            (gradient,) = jax.vjp(lambda x: layer(x, {**down, **batch}), x)[1](passed)
            return (gradient,)

        weighted.defvjp(forward, backward)
        return weighted(values[block.input])

    return in_limit
