"""Layer-sequential unit variance (LSUV): a model's kernels rescaled on a batch."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from jcnn import layers
from jcnn.arguments import floating
from jcnn.tracing import (
    Equation,
    Program,
    TracedModel,
    Var,
    flatten,
    run_equations,
    trace,
)

Model = TypeVar("Model", bound=nnx.Module)

# A standard deviation below this share of the root mean square is rounding error.
_ROUNDING = 1e-5


def lsuv(model: Model, x: Any) -> Model:
    """Return `model` with kernels such that each layer's output on the batch `x` has variance 1.

    Layers are the calls of modules with kernels (`nnx.Param` of two axes or more), first to last:
    convolutions and dense layers, including the output layer. A layer's output is taken before
    normalization and activation; its variance is over examples, positions and features. Its kernel
    is multiplied by the `c > 0` for which

        var(c * a + b) = 1,    a = output - b,    b = output with a kernel of zeros (the bias)

    and the layers above see the rescaled output, so that one forward pass is enough: without bias,
    `c` is the inverse of the standard deviation. If the bias alone has a variance of 1 or more, no
    such `c` exists, and `var(c * a)` becomes 1. Unchanged are layers whose output does not vary or
    is not finite, kernels that are not `nnx.Param`, `jcnn.layers.Pool`, and arrays that a module
    holds in addition to the layers it calls. A layer that is called repeatedly is scaled at its
    first call.

    The model is used in its current mode (training or evaluation) and is not changed. The function
    may be transformed (`jax.jit`, `vmap`). For the published method, start from orthogonal kernels
    (`kernel_init=jcnn.initializers.lsuv_orthogonal()`); a `jcnn.Study` with `kernel_init="lsuv"`
    does both. `jcnn.initializers.lsuv` is the same for the kernels of any function.

    Raises ValueError for a layer whose output is not linear in its kernels, for kernels that are
    not used by any visible call of their layer (only in a loop that is not unrolled, for example),
    and for an empty batch.

    >>> from jcnn import initializers, models
    >>> init = initializers.lsuv_orthogonal()
    >>> model = models.mlp((16,), 4, hidden=(32,), kernel_init=init, rngs=nnx.Rngs(0))
    >>> x = 5 * jax.random.normal(jax.random.key(0), (128, 16))
    >>> _, values = lsuv(model, x).intermediates(x)
    >>> [round(float(values[name].std()), 3) for name in ("dense_hidden1", "output")]
    [1.0, 1.0]
    """
    x = floating(x)
    if not x.size:
        raise ValueError(f"x has shape {x.shape}; expected a batch of at least one example")
    traced = trace(model, x, activations=False)
    scaled = jax.jit(_scale_kernels(traced, _scalable_layers(traced)))(traced.leaves, x)
    leaves = [scaled.get(index, leaf) for index, leaf in enumerate(traced.leaves)]
    graph, state = nnx.split(model)
    result: Model = nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(state), leaves))
    return result


class _Layer(NamedTuple):
    """The first call of a layer: its output, kernels (by leaf), and what depends on the kernels.

    `position` is that of the output's equation in the program.
    """

    name: str
    output: Var
    position: int
    kernels: Sequence[int]
    equations: Sequence[Equation]


def _scalable_layers(traced: TracedModel) -> list[_Layer]:
    """Return the calls whose kernels are scaled, in order."""
    program = traced.program
    positions = program.positions()
    # Slices of stacked kernels would have to be scaled one by one.
    layers_called = [layer for layer in traced.layers if layer.is_call and not layer.part]
    scalable = []
    called: set[int] = set()
    for layer in layers_called:
        kernels = [index for index in layer.kernels if index in layer.params]
        is_first_call = called.isdisjoint(kernels)
        called.update(kernels)
        if not (kernels and is_first_call) or layer.kind == layers.Pool.__name__:
            continue
        dependents = program.dependents(program.inputs[index] for index in kernels)
        if layer.weighted not in dependents:
            continue
        position = positions[layer.weighted]
        before = program.equations[: position + 1]
        equations = [equation for equation in before if dependents.intersection(equation.outputs)]
        candidate = _Layer(layer.name, layer.weighted, position, kernels, equations)
        if not _is_linear(program, candidate):
            raise ValueError(
                f"lsuv cannot scale {layer.name} ({layer.kind}): its output is not linear in its "
                "kernels; use another initializer, or one module per kernel"
            )
        scalable.append(candidate)
    seen = {index for layer in layers_called for index in layer.kernels} | set(traced.held)
    missed = [i for i in traced.params if traced.leaves[i].ndim >= 2 and i not in seen]
    if missed:
        names = dict.fromkeys(traced.names[index] for index in missed)
        raise ValueError(
            f"lsuv sees no call of {', '.join(names)}: call it outside of loops such as "
            "nnx.scan, remove it if nothing calls it, or use another initializer"
        )
    return scalable


def _is_linear(program: Program, layer: _Layer) -> bool:
    """Whether the layer's output is affine in its kernels.

    It is if the derivative with respect to the kernels does not depend on them.
    """
    kernels = [program.inputs[index] for index in layer.kernels]
    computed = {variable for equation in layer.equations for variable in equation.outputs}
    needed = {variable for equation in layer.equations for variable in equation.variables()}
    constants = sorted(needed - computed - set(kernels))

    def derivative(at: Sequence[Array], by: Sequence[Array], values: Sequence[Any]) -> Array:
        def output(at: Sequence[Array]) -> Array:
            inputs = dict(zip((*constants, *kernels), (*values, *at), strict=True))
            value: Array = run_equations(layer.equations, inputs)[layer.output]
            return value

        tangent: Array = jax.jvp(output, (at,), (by,))[1]
        return tangent

    def shapes(variables: Sequence[Var]) -> list[jax.ShapeDtypeStruct]:
        avals = [program.avals[variable] for variable in variables]
        return [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]

    arguments = shapes(kernels), shapes(kernels), shapes(constants)
    flat = flatten(jax.make_jaxpr(derivative)(*arguments))
    output = flat.outputs[0]
    dependents = flat.dependents(flat.inputs[: len(kernels)])
    return not isinstance(output, Var) or output not in dependents


def _scale_kernels(traced: TracedModel, scalable: Sequence[_Layer]) -> Any:
    """Return `(leaves, x) -> kernels` by leaf: a forward pass that scales them on its way."""
    program = traced.program

    def scaled(leaves: Sequence[Any], x: Array) -> dict[int, Array]:
        values = dict(zip(program.inputs, [*leaves, x], strict=True))
        start = 0
        for layer in scalable:
            values = run_equations(program.equations[start : layer.position + 1], values)
            values = _with_scaled_kernels(program, layer, values)
            start = layer.position + 1
        indices = {index for layer in scalable for index in layer.kernels}
        return {index: values[program.inputs[index]] for index in sorted(indices)}

    return scaled


def _with_scaled_kernels(
    program: Program, layer: _Layer, values: Mapping[Var, Any]
) -> dict[Var, Any]:
    """Return `values` with the layer's kernels scaled, and all that was computed from them."""
    kernels = {program.inputs[index]: values[program.inputs[index]] for index in layer.kernels}
    zeros = {variable: jnp.zeros_like(kernel) for variable, kernel in kernels.items()}
    output = values[layer.output]
    bias = run_equations(layer.equations, {**values, **zeros})[layer.output].astype(jnp.float32)
    linear = output.astype(jnp.float32) - bias
    factor = _factor(linear, bias)
    scaled = {
        variable: (factor * kernel.astype(jnp.float32)).astype(kernel.dtype)
        for variable, kernel in kernels.items()
    }
    updated = run_equations(layer.equations, {**values, **scaled})
    updated[layer.output] = (factor * linear + bias).astype(output.dtype)
    return updated


def _factor(linear: Array, bias: Array) -> Array:
    """Return the `c > 0` for which `c * linear + bias` has variance 1; 1 if there is none."""
    centred_linear, centred_bias = linear - jnp.mean(linear), bias - jnp.mean(bias)
    variance = jnp.mean(centred_linear**2)
    bias_variance = jnp.mean(centred_bias**2)
    covariance = jnp.mean(centred_linear * centred_bias)
    root = jnp.sqrt(jnp.maximum(covariance**2 + variance * (1 - bias_variance), 0))
    factor = jnp.where(bias_variance < 1, (root - covariance) / variance, 1 / jnp.sqrt(variance))
    varies = variance > _ROUNDING**2 * jnp.mean(linear**2)
    return jnp.where(varies & jnp.isfinite(factor), factor, 1)
