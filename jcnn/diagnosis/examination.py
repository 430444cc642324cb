"""`jcnn.diagnose`: what happens in each layer of a network on one batch, and what is wrong."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jcnn import losses, strict_json
from jcnn.diagnosis.blocks import Block, Traced, trace
from jcnn.diagnosis.measure import Loss, Measured, measure, probe_of
from jcnn.diagnosis.remedies import remedy
from jcnn.diagnosis.singular import Singular, block_singular_values, model_singular_values
from jcnn.diagnosis.verdicts import Figures, Verdict, verdicts

# Rows of a layer's output that its effective rank is taken of.
_MOST_ROWS = 4096


class Place(NamedTuple):
    """What is known of a layer with weights before any batch; see `LayerReport`.

    `shape` is that of its output for one example, `fan_in` what a weighted sum is over, `trained`
    whether all its kernels are `nnx.Param`.
    """

    name: str
    kind: str
    activation: str | None
    shape: tuple[int, ...]
    units: int
    fan_in: int
    trained: bool


@dataclass(frozen=True)
class LayerReport:
    """One call of a layer with weights, and the activation that follows it.

    Forward: `mean` and `std` of its output (of the activation, where one follows), `saturated` the
    share of elements where the activation's slope is below 5% of its greatest (None where it does
    not level off at both ends), `dead` the share of units whose slope is 0 for every example,
    `effective_rank` that of the weighted sums over examples and positions, `exp(H)` of the centred
    singular values as shares (Roy & Vetterli 2007), of at most `units`.

    Backward: `gradient` is |dL/dh| at the output, `weight_gradient` |dL/dW| and
    `update_ratio` |change of W| / |W| under the optimizer; `factor` is the gradient here over that
    of the layer above. Norms are Euclidean; `gradient` is the root mean square over examples, each
    with its own loss.

    `singular_values` are those of d output / d input of the layer for one example, where asked for.
    """

    name: str
    kind: str
    activation: str | None
    shape: tuple[int, ...]
    mean: float
    std: float
    saturated: float | None
    dead: float | None
    effective_rank: float
    units: int
    gradient: float
    factor: float | None
    weight_gradient: float
    update_ratio: float
    verdict: str
    singular_values: Singular | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Layers in the order of their calls, what is wrong (nothing: healthy), and what would help.

    `unseen` are layers with weights that are not among them: not called, or inside a loop.
    """

    layers: Sequence[LayerReport]
    verdicts: Sequence[Verdict]
    remedies: Sequence[str]
    loss: float
    singular_values: Singular | None = None
    unseen: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """The most specific thing that is wrong, or "healthy"."""
        return self.verdicts[0].kind if self.verdicts else "healthy"

    @property
    def gradient_ratio(self) -> float:
        """|dL/dh| of the first layer over that of the last hidden one."""
        hidden = self.layers[:-1] or self.layers
        top = hidden[-1].gradient
        return hidden[0].gradient / top if top else math.nan

    def to_json(self) -> str:
        """Everything, as strict JSON: a number that is not finite is null."""
        return strict_json.dumps(self.content())

    def content(self) -> dict[str, Any]:
        """Everything, by name."""
        return {
            "verdict": self.verdict,
            "loss": self.loss,
            "gradient_ratio": self.gradient_ratio,
            "verdicts": self.verdicts,
            "remedies": self.remedies,
            "unseen": self.unseen,
            "singular_values": self.singular_values,
            "layers": self.layers,
        }


def diagnose(
    model: nnx.Module,
    x: Any,
    labels: Any,
    loss: Callable[..., Array] | None = None,
    *,
    optimizer: optax.GradientTransformation | None = None,
    singular_values: bool = False,
) -> Diagnosis:
    """What happens in each layer of `model` on the batch `x` with `labels`, and what is wrong.

    The model is any `nnx.Module` that maps the batch to one array; it is used in the mode that it
    is in, and neither changed nor asked for anything. `loss(outputs, labels)` gives a mean or one
    value an example; without it, whole-number labels mean softmax cross-entropy, others the mean
    squared error. `optimizer` (by default SGD at rate 0.1) is what updates are judged by. With
    `singular_values`, those of each layer's Jacobian and of the whole model's.

    Raises ValueError for a model without weighted layers, or arrays that do not fit.

    >>> import jax, jax.numpy as jnp
    >>> from flax import nnx
    >>> from jcnn import models
    >>> model = models.mlp((64,), 10, hidden=(64, 64), rngs=nnx.Rngs(0))
    >>> x = jax.random.normal(jax.random.key(0), (128, 64))
    >>> found = diagnose(model, x, jnp.arange(128) % 10)
    >>> found.verdict, [layer.name for layer in found.layers]
    ('healthy', ['dense_hidden1', 'dense_hidden2', 'output'])
    """
    found = Examination(model, x, labels, loss, optimizer=optimizer)(model)
    return with_singular_values(found, model, jnp.asarray(x)) if singular_values else found


def with_singular_values(found: Diagnosis, model: nnx.Module, x: Array) -> Diagnosis:
    """A diagnosis with those of each layer's Jacobian and of the model's, at the first example."""
    jacobians = block_singular_values(model, x)
    return replace(
        found,
        layers=[
            replace(layer, singular_values=own)
            for layer, own in zip(found.layers, jacobians, strict=True)
        ],
        singular_values=model_singular_values(model, x),
    )


class Examination:
    """`diagnose` for many models of one structure: traced and compiled once.

    Called with a model, it gives its `Diagnosis` on the batch. The arguments are those of
    `diagnose`.

    >>> from jcnn import models
    >>> x, labels = jax.random.normal(jax.random.key(0), (64, 16)), jnp.arange(64) % 2
    >>> one, other = (models.mlp((16,), 2, rngs=nnx.Rngs(seed)) for seed in (0, 1))
    >>> examine = Examination(one, x, labels)
    >>> [examine(model).verdict for model in (one, other)]
    ['healthy', 'healthy']
    """

    def __init__(
        self,
        model: nnx.Module,
        x: Any,
        labels: Any,
        loss: Callable[..., Array] | None = None,
        *,
        optimizer: optax.GradientTransformation | None = None,
    ) -> None:
        if not isinstance(model, nnx.Module):
            raise ValueError(f"model is a {type(model).__name__}; expected an nnx.Module")
        self.x, self.labels = jnp.asarray(x), jnp.asarray(labels)
        if self.x.ndim < 1 or len(self.x) != len(self.labels) or len(self.x) < 2:
            raise ValueError(
                f"inputs {self.x.shape} and labels {self.labels.shape}; expected one label for "
                "each of at least two examples"
            )
        self.traced = traced = trace(model, self.x)
        self._places = [_place(traced, block) for block in traced.blocks]
        probe, judge = probe_of(traced), loss or default_loss(self.labels)
        optimizer = optimizer or optax.sgd(0.1)

        def change(gradients: dict[int, Array], leaves: Sequence[Any]) -> list[Array]:
            params = {index: leaves[index] for index in gradients}
            updates, _ = optimizer.update(gradients, optimizer.init(params), params)
            return [updates[index] for index in gradients]

        @jax.jit
        def run(leaves: Sequence[Any], x: Array, labels: Array) -> tuple[Measured, list[Array]]:
            measured, values = measure(
                probe, leaves, x, labels, judge, lambda gradients: change(gradients, leaves)
            )
            return measured, [values[block.weighted] for block in traced.blocks]

        self._run = run

    def __call__(self, model: nnx.Module) -> Diagnosis:
        """Diagnose a model of the same structure."""
        leaves = jax.tree.leaves(nnx.state(model))
        measured, sums = self._run(leaves, self.x, self.labels)
        ranks = [effective_rank(np.asarray(one, np.float32)) for one in sums]
        columns = {
            name: np.asarray(array, np.float64) for name, array in measured._asdict().items()
        }
        return judged(self._places, columns, ranks, self.traced.unseen)


def judged(
    places: Sequence[Place],
    columns: Mapping[str, np.ndarray],
    ranks: Sequence[float],
    unseen: Sequence[str] = (),
) -> Diagnosis:
    """What follows from the columns of `Measured` and the effective rank of each place."""
    figures = [_figures(place, i, columns, ranks[i]) for i, place in enumerate(places)]
    found = verdicts(figures)
    layers = [_layer(place, i, figures, columns, found) for i, place in enumerate(places)]
    activation = next((place.activation for place in places if place.activation), None)
    remedies = [remedy(one, activation) for one in found[:1]]
    return Diagnosis(layers, found, remedies, float(columns["loss"][0]), unseen=unseen)


def default_loss(labels: Array) -> Loss:
    """Softmax cross-entropy for whole numbers, the mean squared error for others."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return losses.cross_entropy

    def squared(outputs: Array, targets: Array) -> Array:
        return losses.mean_squared_error(outputs, targets.reshape(outputs.shape))

    return squared


def effective_rank(sums: np.ndarray) -> float:
    """`exp(H(p))`, p being the centred rows' singular values over their sum; 1 where they are 0."""
    rows = sums.reshape(-1, sums.shape[-1])
    rows = rows[:: max(1, -(-len(rows) // _MOST_ROWS))].astype(np.float64)
    if not np.isfinite(rows).all():
        return math.nan
    rows = rows - rows.mean(axis=0)
    # Those of a tall matrix by its Gram matrix: five times as fast, and float64 has room for it.
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    found = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0))
    if not found.sum():
        return 1.0
    shares = found[found > 0] / found.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _place(traced: Traced, block: Block) -> Place:
    return Place(
        block.name,
        block.kind,
        block.activation.name() if block.activation else None,
        tuple(traced.program.avals[block.output].shape[1:]),
        traced.program.avals[block.weighted].shape[-1],
        max(math.prod(traced.leaves[index].shape[:-1]) for index in block.weights),
        set(block.weights) <= set(block.trained),
    )


def _figures(place: Place, i: int, columns: Mapping[str, np.ndarray], rank: float) -> Figures:
    """What the verdicts rest on."""
    return Figures(
        place.name,
        columns["mean"][i],
        columns["std"][i],
        columns["saturated"][i],
        columns["dead"][i],
        rank,
        place.units,
        place.fan_in,
        columns["gradient"][i],
        columns["parameter_gradient"][i],
        columns["update"][i],
        place.trained,
        place.activation is not None,
    )


def _layer(
    place: Place,
    i: int,
    figures: Sequence[Figures],
    columns: Mapping[str, np.ndarray],
    found: Sequence[Verdict],
) -> LayerReport:
    one = figures[i]
    above = figures[i + 1].gradient if i + 1 < len(figures) else 0.0
    weight = columns["weight"][i]
    return LayerReport(
        place.name,
        place.kind,
        place.activation,
        place.shape,
        float(one.mean),
        float(one.std),
        None if math.isnan(one.saturated) else float(one.saturated),
        None if math.isnan(one.dead) else float(one.dead),
        one.rank,
        one.units,
        float(one.gradient),
        float(one.gradient) / float(above) if above else None,
        float(columns["weight_gradient"][i]),
        float(one.update / weight) if weight else 0.0,
        next((v.kind for v in found if v.layer == one.name), "healthy"),
    )
