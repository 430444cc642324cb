"""A group's training at one moment, as plain arrays and numbers that can be kept and put back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jcnn.diagnosis.history import LayerHistory
from jcnn.engine.devices import shard_runs


@dataclass
class Outcome:
    """What one run left: means per epoch, test metrics at the end, the step at which it diverged.

    `curves` maps "train_loss", "validation_accuracy" and the like to one value per epoch. `steps`
    is how many there were to train, `seconds` the run's share of the time that its group trained
    on its device, compilation and evaluation apart. `history` is what a `Watch` measured of its
    layers, None without one.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    diverged_at: int | None = None
    steps: int = 0
    history: LayerHistory | None = None
    seconds: float = field(default=0.0, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON."""
        history = None if self.history is None else self.history.to_dict()
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"history": history}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Outcome":
        """Return the outcome of such a dictionary; null stands for NaN.

        Raises AttributeError, KeyError, TypeError or ValueError if it is not one.
        """
        diverged_at, history = content["diverged_at"], content.get("history")
        return cls(
            curves={
                name: [_number(value) for value in curve]
                for name, curve in content["curves"].items()
            },
            test={name: _number(value) for name, value in content["test"].items()},
            diverged_at=None if diverged_at is None else int(diverged_at),
            steps=int(content["steps"]),
            history=None if history is None else LayerHistory.from_dict(history),
            seconds=_number(content.get("seconds", 0.0)),
        )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


class Snapshot(NamedTuple):
    """`arrays` are the leaves of the states; `place` says, in JSON's types, how far they are."""

    arrays: list[np.ndarray]
    place: dict[str, Any]


def taken(states: Any, epoch: int, done: int, outcomes: list[Outcome]) -> Snapshot:
    """The states as arrays on the host, `done` steps into an epoch."""
    arrays = [np.asarray(_plain(leaf)) for leaf in jax.tree.leaves(states)]
    place = {"epoch": epoch, "done": done, "outcomes": [outcome.to_dict() for outcome in outcomes]}
    return Snapshot(arrays, place)


def put_back(mesh: Mesh, shapes: Any, snapshot: Snapshot) -> Any:
    """The states on the devices, in the structure and dtypes of `shapes`.

    Raises ValueError where the arrays are not those of such states.
    """
    expected, structure = jax.tree.flatten(shapes)
    found = [(array.shape, array.dtype) for array in snapshot.arrays]
    if found != [(plain.shape, plain.dtype) for plain in map(_plain_shape, expected)]:
        raise ValueError("the snapshot is of another model, optimizer or number of runs")
    leaves = [
        _as_key(array, leaf) if _is_key(leaf) else array
        for leaf, array in zip(expected, snapshot.arrays, strict=True)
    ]
    return shard_runs(mesh, jax.tree.unflatten(structure, leaves))


def outcomes_of(snapshot: Snapshot) -> list[Outcome]:
    """The outcomes so far."""
    return [Outcome.from_dict(content) for content in snapshot.place["outcomes"]]


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _plain_shape(leaf: Any) -> Any:
    return jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf


def _as_key(array: np.ndarray, leaf: Any) -> jax.Array:
    implementations: list[Any] = []
    jax.eval_shape(lambda key: implementations.append(jax.random.key_impl(key)), leaf)
    return jax.random.wrap_key_data(jnp.asarray(array), impl=implementations[0])
