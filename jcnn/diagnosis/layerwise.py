"""What `diagnose` and `predict` give, for layers in a row, each of them compiled by itself.

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
from jcnn.diagnosis.examination import default_loss
from jcnn.diagnosis.judged import Diagnosis, Place, effective_rank, judged
from jcnn.diagnosis.measure import NO_SLOPE, SATURATED, Loss, Measured, length, moments
from jcnn.diagnosis.prediction import DRAWS, Prediction
from jcnn.layers import Activation, Learned, Sequential

# The rate of the plain gradient descent by which updates are judged, as in `diagnose`.
LEARNING_RATE = 0.1


class _Part(NamedTuple):
    """A layer as a program: its static part, its parameters and its other state."""

    name: str
    kind: str
    graph: Any
    params: Any
    rest: Any

    def kernels(self) -> list[Array]:
        """The weights, of two axes or more."""
        return [leaf for leaf in jax.tree.leaves(self.params) if leaf.ndim >= 2]


class _Block(NamedTuple):
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
    parts, blocks = _chain(model)
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
            _norm([gradients[block.output]]),
            below[block.weighted],
            _norm(parts[block.weighted].kernels()),
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


def predict_layerwise(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Loss | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Prediction:
    """`jcnn.diagnosis.predict` for a chain of layers, compiled layer by layer.

    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(512, 512), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> found = predict_layerwise(model, x, jnp.arange(128) % 10)
    >>> [round(std, 1) for std in found.std[:2]]  # he_normal, relu: sqrt(1 - 1/pi) = 0.83
    [0.8, 0.8]
    """
    x, labels = jnp.asarray(x), jnp.asarray(labels)
    parts, blocks = _chain(model)
    # numpy draws them: compiling a program that draws takes seconds for each shape of kernel.
    generator = np.random.default_rng(seed)
    inputs, outputs = [], jnp.broadcast_to(x, (draws, *x.shape))
    for part in parts:
        inputs.append(outputs)
        drawn = _redrawn(part.params, draws, generator)
        outputs = _drawn_up(part.graph, drawn, part.rest, outputs)
    values = [*inputs[1:], outputs]
    passed = _lost_drawn(loss or default_loss(labels), outputs, labels)
    gradients = [passed] * len(parts)
    for i in range(len(parts) - 1, -1, -1):
        part, gradients[i] = parts[i], passed
        drawn = _redrawn(part.params, draws, generator)
        passed = _drawn_down(part.graph, drawn, part.rest, inputs[i], passed)
    stds = [_std_drawn(values[block.output]) for block in blocks]
    norms = [_norm([gradients[block.output]]) for block in blocks]
    share = (len(x) / draws) ** 0.5
    return Prediction(
        [float(one) for one in jax.device_get(stds)],
        [share * float(one) for one in jax.device_get(norms)],
    )


def _chain(model: nnx.Module) -> tuple[list[_Part], list[_Block]]:
    """The layers, and those among them that have weights; ValueError where none has."""
    if not isinstance(model, Sequential):
        raise ValueError(
            f"model is a {type(model).__name__}; expected a jcnn.layers.Sequential: for others "
            "there is jcnn.diagnose"
        )
    parts, blocks = [], []
    for i, name in enumerate(model.names):
        layer = getattr(model, name)
        part = _Part(name, type(layer).__name__, *nnx.split(layer, nnx.Param, ...))
        parts.append(part)
        if part.kernels():
            blocks.append(_Block(i, i, None))
        bends = isinstance(layer, Activation) and layer.function is not identity
        if bends and blocks and blocks[-1].activation is None:
            learned = Learned(layer.function) if layer.parameters else layer.function
            blocks[-1] = _Block(blocks[-1].weighted, i, learned)
    if not blocks:
        raise ValueError("the model has no layer with weights, so there is nothing to diagnose")
    return parts, blocks


def _place(parts: Sequence[_Part], block: _Block, values: Sequence[Array]) -> Place:
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


def _facts(block: _Block) -> Facts | None:
    """What is known of a block's activation; None without one, and where a parameter is learned."""
    if block.activation is None or isinstance(block.activation, Learned):
        return None
    return facts(block.activation)


def _shares(parts: Sequence[_Part], block: _Block, values: Sequence[Array]) -> tuple[Any, Any]:
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


def _apply(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    y: Array = nnx.merge(graph, params, rest, copy=True)(x)
    return y


_up = partial(jax.jit, static_argnums=0)(_apply)


@partial(jax.jit, static_argnums=0)
def _down(
    graph: Any, params: Any, rest: Any, x: Array, passed: Array
) -> tuple[Array, tuple[Array, Array]]:
    """The gradient at a layer's input, and the norms of those of its kernels and parameters."""
    _, pull = jax.vjp(lambda params, x: _apply(graph, params, rest, x), params, x)
    gradients, below = pull(passed)
    leaves = jax.tree.leaves(gradients)
    return below, (length([leaf for leaf in leaves if leaf.ndim >= 2]), length(leaves))


@partial(jax.jit, static_argnums=0)
def _flat(graph: Any, params: Any, rest: Any, x: Array, greatest: Any) -> tuple[Array, Array]:
    _, pull = jax.vjp(lambda x: _apply(graph, params, rest, x), x)
    slope = jnp.abs(pull(jnp.ones_like(x))[0].astype(jnp.float32))
    largest = jnp.max(slope, axis=tuple(range(slope.ndim - 1)))
    saturated = jnp.mean((slope < SATURATED * greatest).astype(jnp.float32))
    dead = jnp.mean((largest <= NO_SLOPE).astype(jnp.float32))
    return jnp.where(jnp.isnan(greatest), jnp.nan, saturated), dead


@partial(jax.jit, static_argnums=0)
def _lost(loss: Loss, outputs: Array, labels: Array) -> tuple[Array, Array]:
    """The mean loss, and its gradient at the outputs."""
    return jax.value_and_grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32)))(outputs)


@partial(jax.jit, static_argnums=0)
def _lost_drawn(loss: Loss, outputs: Array, labels: Array) -> Array:
    return jax.vmap(jax.grad(lambda y: jnp.mean(loss(y, labels).astype(jnp.float32))))(outputs)


_moments = jax.jit(moments)
_norm = jax.jit(length)


@jax.jit
def _std_drawn(x: Array) -> Array:
    """The root of the mean variance over draws."""
    deviations = jax.vmap(lambda one: moments(one)[1])(x)
    return length([deviations]) / jnp.float32(len(deviations) ** 0.5)


def _redrawn(params: Any, draws: int, generator: np.random.Generator) -> Any:
    """Parameters with draws as their first axis: of kernels, normal ones of the mean square they
    have; others as they are.
    """

    def drawn(leaf: Array) -> np.ndarray:
        value, shape = np.asarray(leaf, np.float32), (draws, *leaf.shape)
        if leaf.ndim < 2:
            return np.broadcast_to(value, shape)
        scale = np.sqrt(np.mean(np.square(value)))
        return (scale * generator.standard_normal(shape, np.float32)).astype(leaf.dtype)

    return jax.tree.map(drawn, params)


@partial(jax.jit, static_argnums=0)
def _drawn_up(graph: Any, params: Any, rest: Any, x: Array) -> Array:
    """A layer of other weights for each draw; parameters and `x` have draws as their first axis."""
    return jax.vmap(lambda params, x: _apply(graph, params, rest, x))(params, x)


@partial(jax.jit, static_argnums=0)
def _drawn_down(graph: Any, params: Any, rest: Any, x: Array, passed: Array) -> Array:
    """The gradients at its input, by weights that are independent of those on the way up."""

    def one(params: Any, x: Array, passed: Array) -> Array:
        _, pull = jax.vjp(lambda x: _apply(graph, params, rest, x), x)
        below: Array = pull(passed)[0]
        return below

    return jax.vmap(one)(params, x, passed)
