"""A diagnosis followed through training: measured inside the compiled step, judged afterwards."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from jcnn.diagnosis.measure import Loss, Measured, measure, probe_of
from jcnn.diagnosis.verdicts import Figures, Verdict, verdicts
from jcnn.tracing import trace
from jcnn.training import RunState, Watch
from jcnn.training.run import Structure

# What is kept of each layer; see `jcnn.diagnosis.LayerReport`.
COLUMNS = ("std", "saturated", "dead", "gradient", "update_ratio")


def watch_of(
    model: nnx.Module, x: jax.ShapeDtypeStruct, loss: Loss, *, every: int, steps: int
) -> Watch:
    """A watch on every layer of a model (shapes suffice) that trains on batches like `x`.

    An epoch has `steps` steps. Raises ValueError for a model without weighted layers.
    """
    model.train()
    traced = trace(model, x)
    probe = probe_of(traced)
    params = _places(model)

    def measure_step(
        structure: Structure,
        state: RunState,
        optimizer: optax.GradientTransformation,
        inputs: Array,
        targets: Array,
    ) -> Array:
        own, tree = jax.tree.flatten(state.params)

        def updates(gradients: dict[int, Array]) -> Sequence[Array]:
            given = [
                gradients.get(index, jnp.zeros(value.shape, value.dtype))
                for index, value in zip(params, own, strict=True)
            ]
            found, _ = optimizer.update(
                jax.tree.unflatten(tree, given), state.optimizer, state.params
            )
            changes = dict(zip(params, jax.tree.leaves(found), strict=True))
            return [changes[index] for index in gradients]

        whole = nnx.state(nnx.merge(structure.train, state.params, state.rest, copy=True))
        found, _ = measure(probe, jax.tree.leaves(whole), inputs, targets, loss, updates)
        return _columns(found)

    return Watch(
        every,
        steps,
        [block.name for block in traced.layers],
        COLUMNS,
        measure_step,
        {"activations": [b.activation.name() if b.activation else None for b in traced.layers]},
    )


def _columns(found: Measured) -> Array:
    ratio = jnp.where(found.weight > 0, found.update / found.weight, 0)
    columns = found._asdict() | {"update_ratio": ratio}
    return jnp.stack([columns[name] for name in COLUMNS], axis=1)


def _places(model: nnx.Module) -> list[int]:
    """Of each leaf of the model's parameters, its place among the leaves of its whole state."""
    _, params, _ = nnx.split(model, nnx.Param, ...)
    whole = {
        jax.tree_util.keystr(path): index
        for index, (path, _) in enumerate(jax.tree.leaves_with_path(nnx.state(model)))
    }
    return [whole[jax.tree_util.keystr(path)] for path, _ in jax.tree.leaves_with_path(params)]


class Moment(NamedTuple):
    """A network at one step: what is wrong with it, and the figures of a ranking's why.

    `gradient_ratio` is |dL/dh| of the first layer over that of the last hidden one; `saturated` and
    `dead` are those of the layer that has most, NaN where no layer can.
    """

    step: int
    verdicts: Sequence[Verdict]
    gradient_ratio: float
    saturated: float
    dead: float

    @property
    def verdict(self) -> str:
        """The most specific thing that is wrong, with the layer where it starts, or "healthy"."""
        if not self.verdicts:
            return "healthy"
        return f"{self.verdicts[0].kind} at {self.verdicts[0].layer}"


def averaged(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What runs of one combination were seen to do (`Outcome.followed`), as one such record.

    Numbers are means over the runs, of gradients geometric ones; a run counts up to where it
    diverged.
    """
    first = runs[0]
    layers, times = range(len(first["layers"])), range(len(first["steps"]))
    means = {
        column: [
            [_mean([run[column][i][j] for run in runs], column == "gradient") for j in layers]
            for i in times
        ]
        for column in COLUMNS
    }
    return {**first, **means}


def moments(followed: Mapping[str, Any]) -> list[Moment]:
    """The moments of such a record, up to where it diverged."""
    found = []
    for i, step in enumerate(followed["steps"]):
        rows = {column: followed[column][i] for column in COLUMNS}
        if all(math.isnan(value) for value in rows["std"]):
            break
        figures = [
            Figures(
                name,
                mean=0.0,
                std=rows["std"][j],
                saturated=rows["saturated"][j],
                dead=rows["dead"][j],
                rank=math.nan,
                units=0,
                fan_in=0,
                gradient=rows["gradient"][j],
                parameter_gradient=math.nan,
                update=rows["update_ratio"][j],
                trained=True,
                has_activation=followed["activations"][j] is not None,
            )
            for j, name in enumerate(followed["layers"])
        ]
        hidden = [one.gradient for one in figures[:-1] or figures]
        found.append(
            Moment(
                step,
                verdicts(figures),
                hidden[0] / hidden[-1] if hidden[-1] else math.nan,
                _greatest(rows["saturated"]),
                _greatest(rows["dead"]),
            )
        )
    return found


def _mean(values: Sequence[float], logarithmic: bool) -> float:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return math.nan
    if not logarithmic:
        return sum(finite) / len(finite)
    if min(finite) <= 0:
        return 0.0
    return math.exp(sum(map(math.log, finite)) / len(finite))


def _greatest(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
