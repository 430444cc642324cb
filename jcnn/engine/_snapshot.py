"""A group's training at one moment, as plain arrays and numbers that can be saved and restored."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jcnn.diagnosis.history import LayerHistory


@dataclass
class Outcome:
    """The outcome of one run: means per epoch, final test metrics, and the step it diverged at.

    `curves` maps "train_loss", "validation_accuracy" and so on to one value per epoch. `steps` is
    the number of steps planned. `seconds` is the run's share of its group's training time on its
    device, without compilation and evaluation. `history` is what a `Watch` measured of its
    layers; None without one.

    With early stopping, `best_epoch` is the epoch, from 1, whose weights were kept and tested, and
    `epochs` the number of epochs trained; after these, curves have the values of the best epoch.
    Both are None without it, and for a run that diverged.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    diverged_at: int | None = None
    steps: int = 0
    history: LayerHistory | None = None
    best_epoch: int | None = None
    epochs: int | None = None
    seconds: float = field(default=0.0, compare=False)

    def final(self, name: str) -> float:
        """Return a curve's value for the weights that were tested."""
        return self.curves[name][-1 if self.best_epoch is None else self.best_epoch - 1]

    def to_dict(self) -> dict[str, Any]:
        """Return copies of the fields by name, for JSON: training goes on to fill the curves."""
        history = None if self.history is None else self.history.to_dict()
        content = {f.name: getattr(self, f.name) for f in fields(self)} | {"history": history}
        return copy.deepcopy(content)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Outcome":
        """Return the outcome of such a dictionary; null stands for NaN.

        Raises AttributeError, KeyError, TypeError or ValueError if it is not one.
        """
        history = content.get("history")
        return cls(
            curves={
                name: [_number(value) for value in curve]
                for name, curve in content["curves"].items()
            },
            test={name: _number(value) for name, value in content["test"].items()},
            diverged_at=_count(content["diverged_at"]),
            steps=int(content["steps"]),
            history=None if history is None else LayerHistory.from_dict(history),
            best_epoch=_count(content.get("best_epoch")),
            epochs=_count(content.get("epochs")),
            seconds=_number(content.get("seconds", 0.0)),
        )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


class Snapshot(NamedTuple):
    """The state of a training: `arrays` are the leaves of the run states, `place` is the progress.

    `place` consists of JSON types.
    """

    arrays: list[np.ndarray]
    place: dict[str, Any]


def take_snapshot(
    states: Any, rows: Sequence[int], epoch: int, done: int, outcomes: list[Outcome]
) -> Snapshot:
    """Copy the states in these rows to the host, `done` steps into `epoch`."""
    arrays = [np.asarray(_key_data(leaf))[[*rows]] for leaf in jax.tree.leaves(states)]
    place = {"epoch": epoch, "done": done, "outcomes": [outcome.to_dict() for outcome in outcomes]}
    return Snapshot(arrays, place)


def restore_states(shapes: Any, rows: Sequence[int], snapshot: Snapshot) -> Any:
    """Return the snapshot's states in these rows, in the structure and dtypes of `shapes`.

    Other rows have copies of the first run's state. Raises ValueError if the arrays do not match
    `shapes`.
    """
    leaves, structure = jax.tree.flatten(shapes)
    expected = [((len(rows), *leaf.shape[1:]), leaf.dtype) for leaf in map(_key_data_shape, leaves)]
    if [(array.shape, array.dtype) for array in snapshot.arrays] != expected:
        raise ValueError("the snapshot is of another model, optimizer or number of runs")
    source = np.zeros(leaves[0].shape[0], int)
    source[[*rows]] = range(len(rows))
    arrays = [
        _wrap_key(array[source], leaf) if _is_key(leaf) else array[source]
        for leaf, array in zip(leaves, snapshot.arrays, strict=True)
    ]
    return jax.tree.unflatten(structure, arrays)


def snapshot_outcomes(snapshot: Snapshot) -> list[Outcome]:
    """Return the outcomes at the time of the snapshot."""
    return [Outcome.from_dict(content) for content in snapshot.place["outcomes"]]


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _key_data_shape(leaf: Any) -> Any:
    return jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf


def _wrap_key(array: np.ndarray, leaf: Any) -> jax.Array:
    implementations: list[Any] = []
    jax.eval_shape(lambda key: implementations.append(jax.random.key_impl(key)), leaf)
    return jax.random.wrap_key_data(jnp.asarray(array), impl=implementations[0])
