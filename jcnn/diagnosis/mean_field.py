"""What mean-field theory predicts for each layer of a given model, on a given batch.

Each weighted layer is replaced by its infinite-width limit: weighted sums are Gaussian, with the
covariance over examples and positions that independent weights of this variance result in, and
gradients pass down as if the weights on their way were independent of those on the way up
(Schoenholz et al. 2017). Everything in between (activations, normalization, pooling, residual
branches) is the model's own program. Expectations over weights are estimated by drawing them, as
neural-tangents does for layers without a closed form (Novak et al. 2020).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.diagnosis.diagnosis import gradient_ratio
from jcnn.diagnosis.measure import Loss, make_probe, measure
from jcnn.tracing import TracedLayer, TracedModel, Var, equations_up_to, run_equations, trace

DRAWS = 16


@dataclass(frozen=True, kw_only=True)
class MeanFieldPrediction:
    """For each layer, in order of the calls: `std` of its output and `gradient`, |dL/dh| there.

    Both are as in `jcnn.diagnosis.LayerReport`: root mean squares over draws of the weights, which
    have the mean squares of the layers' present weights.
    """

    std: Sequence[float]
    gradient: Sequence[float]

    @property
    def factors(self) -> list[float | None]:
        """The gradient at each layer over that of the layer above; None for the last."""
        above = [*self.gradient[1:], 0.0]
        return [
            gradient / higher if higher else None
            for gradient, higher in zip(self.gradient, above, strict=True)
        ]

    @property
    def gradient_ratio(self) -> float:
        """The gradient at the first layer over that at the last hidden one."""
        return gradient_ratio(self.gradient)


def mean_field(
    model: nnx.Module, x: Any, labels: Any, loss: Loss, *, draws: int = DRAWS, seed: int = 0
) -> MeanFieldPrediction:
    """Return what mean-field theory predicts for a model's layers on the batch `x` with `labels`.

    Only the mean square of each kernel counts; other parameters are used as they are. The model is
    used in its current mode. Raises ValueError for a model without weighted layers.

    >>> from flax import nnx
    >>> from jcnn import losses, models
    >>> model = models.mlp((64,), 10, hidden=(512, 512), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> prediction = mean_field(model, x, jnp.arange(128) % 10, losses.cross_entropy)
    >>> [round(std, 1) for std in prediction.std[:2]]  # he_normal, relu: sqrt(1 - 1/pi) = 0.83
    [0.8, 0.8]
    """
    x, labels = jax.tree.map(jnp.asarray, (x, labels))
    traced = trace(model, x)
    probe = make_probe(traced)

    @jax.jit
    def run(key: Array) -> tuple[Array, Array]:
        limits = _limits(traced, traced.leaves, key)
        figures = measure(probe, traced.leaves, x, labels, loss, replace=limits).figures
        return figures.std, figures.gradient

    columns = zip(*map(run, jax.random.split(jax.random.key(seed), draws)), strict=True)
    std, gradient = (
        np.sqrt(np.mean(np.square(np.asarray(values, np.float64)), axis=0)).tolist()
        for values in columns
    )
    return MeanFieldPrediction(std=std, gradient=gradient)


def _limits(
    traced: TracedModel, leaves: Sequence[Any], key: Array
) -> dict[Var, Callable[[Mapping[Var, Any]], Any]]:
    """Return what replaces each layer's weighted sums in the limit."""
    up, down = (_draw_kernels(traced, leaves, part) for part in jax.random.split(key))
    return {layer.weighted: _limit(traced, layer, up, down) for layer in traced.layers}


def _draw_kernels(traced: TracedModel, leaves: Sequence[Any], key: Array) -> dict[Var, Any]:
    """Return the leaves by variable, with new normal kernels of the same mean square."""
    values = dict(zip(traced.program.inputs, leaves, strict=False))
    for index in {index for layer in traced.layers for index in layer.kernels}:
        leaf = leaves[index]
        scale = jnp.sqrt(jnp.mean(jnp.square(leaf.astype(jnp.float32))))
        normal = jax.random.normal(jax.random.fold_in(key, index), leaf.shape)
        values[traced.program.inputs[index]] = (scale * normal).astype(leaf.dtype)
    return values


def _limit(
    traced: TracedModel, layer: TracedLayer, up: Mapping[Var, Any], down: Mapping[Var, Any]
) -> Callable[[Mapping[Var, Any]], Any]:
    """Return the layer's call with the weights in `up`, and gradients by those in `down`."""
    equations = equations_up_to(traced.program, layer.weighted, given=layer.input)

    def call(x: Array, constants: Mapping[Var, Any]) -> Array:
        output: Array = run_equations(equations, {**constants, layer.input: x})[layer.weighted]
        return output

    def in_limit(values: Mapping[Var, Any]) -> Array:
        batch = {variable: values[variable] for variable in traced.batch}
        if not jnp.issubdtype(values[layer.input].dtype, jnp.floating):
            return call(values[layer.input], {**up, **batch})

        @jax.custom_vjp
        def weighted(x: Array) -> Array:
            return call(x, {**up, **batch})

        def forward(x: Array) -> tuple[Array, Array]:
            return weighted(x), x

        def backward(x: Array, cotangent: Array) -> tuple[Array]:
            (gradient,) = jax.vjp(lambda x: call(x, {**down, **batch}), x)[1](cotangent)
            return (gradient,)

        weighted.defvjp(forward, backward)
        return weighted(values[layer.input])

    return in_limit
