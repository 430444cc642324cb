"""What one batch does in every block, as numbers: signals going up, gradients coming down.

A pure function of the model's state and a batch, that can be compiled with a train step.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jcnn.tracing import TracedActivation, TracedModel, Var, evaluate, read

# An element is saturated where the activation's slope is below this share of its greatest.
SATURATED = 0.05
# A slope that is nothing: no gradient passes.
NO_SLOPE = 1e-6

Loss = Callable[[Array, Array], Array]


class Measured(NamedTuple):
    """Numbers of each block, in the order of their calls: arrays of one axis.

    `mean` and `std` are of the block's output; `saturated` and `dead` are shares of elements and of
    units (NaN where the activation has no such thing). `gradient` is the root mean square over
    examples of the norm of dL/dh at the output, for each example's own loss; `weight_gradient`,
    `weight` and `update` are norms of the layer's kernels: of dL/dW, of W, and of the change that
    the optimizer would make. `parameter_gradient` is that of all its parameters; `loss` is the same
    for all.
    """

    mean: Array
    std: Array
    saturated: Array
    dead: Array
    gradient: Array
    weight_gradient: Array
    weight: Array
    update: Array
    parameter_gradient: Array
    loss: Array


class Probe(NamedTuple):
    """What is to be measured: a traced model, and each activation's greatest slope.

    A greatest slope is NaN for an activation that does not level off at both ends; `dies` says of
    each whether it is flat at an end.
    """

    traced: TracedModel
    greatest: Sequence[float]
    dies: Sequence[bool]


def probe_of(traced: TracedModel) -> Probe:
    """A probe, for which the facts of each activation are measured."""
    known = [None if b.activation is None else b.activation.facts() for b in traced.layers]
    return Probe(
        traced,
        [
            one.max_derivative if one is not None and len(one.saturates) == 2 else float("nan")
            for one in known
        ],
        [one is not None and bool(one.saturates) for one in known],
    )


def measure(
    probe: Probe,
    leaves: Sequence[Any],
    x: Array,
    labels: Array,
    loss: Loss,
    updates: Callable[[dict[int, Array]], Sequence[Array]] | None = None,
    replace: Mapping[Var, Callable[[Mapping[Var, Any]], Any]] | None = None,
) -> tuple[Measured, dict[int, Any]]:
    """Measure every block on a batch; also the values of the whole program.

    `loss(outputs, labels)` is a mean over examples, or one value each. `updates` turns gradients of
    the trained leaves, by index, into what the optimizer adds to each. `replace` is that of
    `jcnn.tracing.evaluate`.
    """
    traced = probe.traced
    blocks = traced.layers
    spots = sorted({block.output for block in blocks})

    def scalar(params: list[Array], bumps: list[Array]) -> tuple[Array, dict[int, Any]]:
        whole = list(leaves)
        for index, value in zip(traced.params, params, strict=True):
            whole[index] = value
        offsets = dict(zip(spots, bumps, strict=True))
        values = evaluate(traced.program, [*whole, x], offsets=offsets, replace=replace)
        outputs = read(values, traced.program.outputs[0])
        return jnp.mean(loss(outputs, labels).astype(jnp.float32)), values

    zeros = [jnp.zeros(a.shape, a.dtype) for a in (traced.program.avals[spot] for spot in spots)]
    (value, values), (gradients, at_spots) = jax.value_and_grad(scalar, (0, 1), has_aux=True)(
        [leaves[index] for index in traced.params], zeros
    )
    gradient = dict(zip(traced.params, gradients, strict=True))
    passed = dict(zip(spots, at_spots, strict=True))
    update = dict(zip(traced.params, updates(gradient), strict=True)) if updates else gradient

    def norm(of: Mapping[int, Array], indices: Sequence[int]) -> Array:
        return length([of[i] for i in indices if i in of])

    examples = x.shape[0]
    rows = []
    for block, greatest, dies in zip(blocks, probe.greatest, probe.dies, strict=True):
        mean, deviation = moments(values[block.output])
        saturated, dead = _shares(block.activation, values, greatest, dies)
        # The mean loss has each example's gradient divided by their number.
        rms = jnp.float32(examples**0.5) * norm(passed, [block.output])
        rows.append(
            (
                mean,
                deviation,
                saturated,
                dead,
                rms,
                norm(gradient, block.kernels),
                norm(dict(enumerate(leaves)), block.kernels),
                norm(update, block.kernels),
                norm(gradient, block.params),
                value,
            )
        )
    return Measured(*(jnp.stack(column) for column in zip(*rows, strict=True))), values


def length(arrays: Sequence[Array]) -> Array:
    """The Euclidean norm of all of them, where squares in float32 would overflow or vanish too."""
    if not arrays:
        return jnp.float32(0)
    arrays = [array.astype(jnp.float32) for array in arrays]
    scale = _scale([jnp.max(jnp.abs(array), initial=0.0) for array in arrays])
    return scale * jnp.sqrt(sum(jnp.sum(jnp.square(array / scale)) for array in arrays))


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and standard deviation, likewise."""
    x = x.astype(jnp.float32)
    scale = _scale([jnp.max(jnp.abs(x), initial=0.0)])
    return scale * jnp.mean(x / scale), scale * jnp.std(x / scale)


def _scale(greatest: Sequence[Array]) -> Array:
    """What to divide by: the greatest absolute value, or 1 where all are 0."""
    most = jnp.max(jnp.stack(greatest))
    return jnp.where(most > 0, most, jnp.float32(1))


def _shares(
    activation: TracedActivation | None, values: Mapping[int, Any], greatest: float, dies: bool
) -> tuple[Array, Array]:
    """The shares of saturated elements, and of units that are flat over the whole batch."""
    nothing = jnp.float32(jnp.nan)
    if activation is None or not dies:
        return nothing, nothing
    return flat_shares(activation.slope(values), greatest)


def flat_shares(slope: Array, greatest: Any) -> tuple[Array, Array]:
    """Of an activation's slopes: the shares of saturated elements and of dead units.

    NaN for the first where `greatest`, its greatest slope, is NaN.
    """
    slope = jnp.abs(slope.astype(jnp.float32))
    # A unit is a feature: the last axis; where there are more, at all positions.
    largest = jnp.max(slope, axis=tuple(range(slope.ndim - 1)))
    dead = jnp.mean((largest <= NO_SLOPE).astype(jnp.float32))
    saturated = jnp.mean((slope < SATURATED * greatest).astype(jnp.float32))
    return jnp.where(jnp.isnan(greatest), jnp.nan, saturated), dead
