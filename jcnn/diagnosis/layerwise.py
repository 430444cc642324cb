"""What `diagnose` gives, for layers in a row, each of them compiled by itself.

`diagnose` compiles the whole network as one program: seconds for a deep one, and again for each
other depth or activation. Here a layer is a program, and equal layers share it, so a chain that is
longer or has one kind of layer exchanged compiles nothing, or that layer alone. That is what a tool
with sliders needs; for one network, `diagnose` takes any module.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from jcnn.activations import Facts, facts, identity
from jcnn.diagnosis.diagnosis import Diagnosis, Place, effective_rank, judged
from jcnn.diagnosis.examination import default_loss
from jcnn.diagnosis.measure import Loss, Measured, flat_shares, length, moments
from jcnn.layers import Activation, Learned, Sequential

# The rate of the plain gradient descent by which updates are judged, as in `diagnose`.
LEARNING_RATE = 0.1


class Part(NamedTuple):
    """A layer as a program: its static part, its parameters and its other state."""

    name: str
    kind: str
    graph: Any
    params: Any
    rest: Any

    def kernels(self) -> list[Array]:
        """The weights, of two axes or more."""
        return [leaf for leaf in jax.tree.leaves(self.params) if leaf.ndim >= 2]


class Block(NamedTuple):
    """A layer with weights, by its place in the chain, and the activation that follows it."""

    weighted: int
    output: int
    activation: Callable[..., Array] | None


class Passed(NamedTuple):
    """A diagnosis, the network's outputs, and what each layer of the diagnosis gave, by its name.

    Where an activation follows a layer, that is the activation's output.
    """

    diagnosis: Diagnosis
    outputs: Array
    values: dict[str, Array]


def diagnose_layerwise(model: nnx.Module, x: Any, labels: Any, loss: Loss | None = None) -> Passed:
    """`jcnn.diagnose(model, x, labels, loss)` for a chain of layers, compiled layer by layer.

    The figures are the same, up to rounding, and so are the errors for what has no weights.

    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 8, 8, 1)), jnp.arange(64) % 10
    >>> deep = models.plain_cnn(
    ...     (8, 8, 1), 10, depth=12, activation=jax.nn.sigmoid, rngs=nnx.Rngs(0)
    ... )
    >>> diagnose_layerwise(deep, x, labels).diagnosis.verdict
    'vanishing'
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    parts, blocks = chain(model)
    inputs, outputs = [], x
    for part in parts:
        inputs.append(outputs)
        outputs = _up(part.graph, part.params, part.rest, outputs)
    values = [*inputs[1:], outputs]
    lost, passed = _lost(loss or default_loss(labels), outputs, labels)
    below: list[Any] = [()] * len(parts)
    gradients = [passed] * len(parts)  # at each layer's output
    for i in range(len(parts) - 1, -1, -1):
        part, gradients[i] = parts[i], passed
        passed, below[i] = _down(part.graph, part.params, part.rest, inputs[i], passed)
    found = [
        (
            _moments(values[block.output]),
            _shares(parts, block, values),
            norm([gradients[block.output]]),
            below[block.weighted],
            norm(parts[block.weighted].kernels()),
        )
        for block in blocks
    ]
    return Passed(
        judged(
            [_place(parts, block, values) for block in blocks],
            _columns(jax.device_get(found), float(lost), len(x)),
            [effective_rank(np.asarray(values[block.weighted])) for block in blocks],
        ),
        outputs,
        {parts[block.weighted].name: values[block.output] for block in blocks},
    )


def chain(model: nnx.Module) -> tuple[list[Part], list[Block]]:
    """The layers, and those among them that have weights; ValueError where none has."""
    if not isinstance(model, Sequential):
        raise ValueError(
            f"model is a {type(model).__name__}; expected a jcnn.layers.Sequential: for others "
            "there is jcnn.diagnose"
        )
    parts, blocks = [], []
    for i, name in enumerate(model.names):
        layer = getattr(model, name)
        part = Part(name, type(layer).__name__, *nnx.split(layer, nnx.Param, ...))
        parts.append(part)
        if part.kernels():
            blocks.append(Block(i, i, None))
        bends = isinstance(layer, Activation) and layer.function is not identity
        if bends and blocks and blocks[-1].activation is None:
            learned = Learned(layer.function) if layer.parameters else layer.function
            blocks[-1] = Block(blocks[-1].weighted, i, learned)
    if not blocks:
        raise ValueError("the model has no layer with weights, so there is nothing to diagnose")
    return parts, blocks


def _place(parts: Sequence[Part], block: Block, values: Sequence[Array]) -> Place:
    part = parts[block.weighted]
    known = _facts(block)
    name = getattr(block.activation, "__name__", "own") if known is None else known.name
    return Place(
        part.name,
        part.kind,
        name if block.activation is not None else None,
        values[block.output].shape[1:],
        values[block.weighted].shape[-1],
        max(math.prod(kernel.shape[:-1]) for kernel in part.kernels()),
        True,  # the weights of `nnx.Param` are the only ones seen
    )


def _facts(block: Block) -> Facts | None:
    """What is known of a block's activation; None without one, and where a parameter is learned."""
    if block.activation is None or isinstance(block.activation, Learned):
        return None
    return facts(block.activation)


def _shares(parts: Sequence[Part], block: Block, values: Sequence[Array]) -> tuple[Any, Any]:
    """The shares of saturated elements and of dead units, as `jcnn.diagnosis.measure` has them."""
    known = _facts(block)
    if known is None or not known.saturates:
        return math.nan, math.nan
    part = parts[block.output]
    greatest = known.max_derivative if len(known.saturates) == 2 else math.nan
    return _flat(part.graph, part.params, part.rest, values[block.output - 1], greatest)


def _columns(found: Sequence[Any], lost: Any, examples: int) -> dict[str, np.ndarray]:
    rows = [
        Measured(
            mean,
            std,
            saturated,
            dead,
            # The mean loss has each example's gradient divided by their number.
            examples**0.5 * gradient,
            kernels,
            weight,
            LEARNING_RATE * kernels,
            parameters,
            lost,
        )
        for (mean, std), (saturated, dead), gradient, (kernels, parameters), weight in found
    ]
    return {
        name: np.array(column, np.float64)
        for name, column in zip(Measured._fields, zip(*rows, strict=True), strict=True)
    }


def apply(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    """What a layer gives."""
    y: Array = nnx.merge(graph, params, rest, copy=True)(x)
    return y


_up = partial(jax.jit, static_argnums=0)(apply)


@partial(jax.jit, static_argnums=0)
def _down(
    graph: Any, params: Any, rest: Any, x: Array, passed: Array
) -> tuple[Array, tuple[Array, Array]]:
    """The gradient at a layer's input, and the norms of those of its kernels and parameters."""
    _, pull = jax.vjp(lambda params, x: apply(graph, params, rest, x), params, x)
    gradients, below = pull(passed)
    leaves = jax.tree.leaves(gradients)
    return below, (length([leaf for leaf in leaves if leaf.ndim >= 2]), length(leaves))


@partial(jax.jit, static_argnums=0)
def _flat(graph: Any, params: Any, rest: Any, x: Array, greatest: Any) -> tuple[Array, Array]:
    _, pull = jax.vjp(lambda x: apply(graph, params, rest, x), x)
    return flat_shares(pull(jnp.ones_like(x))[0], greatest)


@partial(jax.jit, static_argnums=0)
def _lost(loss: Loss, outputs: Array, labels: Array) -> tuple[Array, Array]:
    """The mean loss, and its gradient at the outputs."""
    return jax.value_and_grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32)))(outputs)


_moments = jax.jit(moments)
norm = jax.jit(length)
