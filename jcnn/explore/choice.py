"""What a visitor has chosen: the parts of one network, and how it is to be trained."""

import dataclasses
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
from flax import nnx

from jcnn import models, names
from jcnn.errors import UsageError, nearest
from jcnn.layers import Sequential

# Names that can be chosen; those that need data or draw anew at every call are for studies.
_WITHOUT = {"kernel_init": ("lsuv",), "pooling": ("stochastic",)}
NAMED = ("activation", "kernel_init", "normalization", "pooling", "optimizer")
# The least and greatest of each number; widths are few, since each has programs of its own.
RANGES = {
    "depth": (1, 40),
    "gain": (0.1, 10.0),
    "learning_rate": (1e-5, 10.0),
    "seed": (0, 2**31 - 1),
}
WIDTHS = (4, 8, 16, 32)


def options() -> dict[str, list[str]]:
    """The names that can be chosen, by part."""
    return {
        part: [name for name in names.TABLES[part] if name not in _WITHOUT.get(part, ())]
        for part in NAMED
    }


@dataclass(frozen=True)
class Choice:
    """A plain CNN of `depth` equal convolutions, its parts by name.

    `gain` multiplies what `kernel_init` draws for every kernel.
    """

    activation: str = "sigmoid"
    kernel_init: str = "glorot_normal"
    normalization: str = "none"
    pooling: str = "max"
    depth: int = 12
    width: int = 16
    gain: float = 1.0
    seed: int = 0
    optimizer: str = "momentum"
    learning_rate: float = 0.03

    @property
    def structure(self) -> "Choice":
        """What a compiled train step depends on: without numbers that only it is given."""
        return dataclasses.replace(self, kernel_init="zeros", gain=1.0, seed=0, learning_rate=1.0)

    def model(self, input_shape: Sequence[int], outputs: int) -> Sequential:
        """The network, freshly drawn; it trains on inputs of this shape."""
        parts = {name: _named(name, getattr(self, name)) for name in NAMED if name != "optimizer"}
        found = models.plain_cnn(
            input_shape,
            outputs,
            depth=self.depth,
            width=self.width,
            **parts,
            rngs=nnx.Rngs(self.seed),
        )
        if self.gain != 1:
            state = nnx.state(found, nnx.Param)
            nnx.update(found, jax.tree.map(lambda w: w * self.gain if w.ndim > 1 else w, state))
        found.train()
        return found

    def command(self, data: str) -> str:
        """The command line that diagnoses the same network."""
        words = [f"jcnn diagnose plain --data {shlex.quote(data)}"]
        words += [f"--{part.replace('_', '-')} {getattr(self, part)}" for part in NAMED]
        words += [f"--depth {self.depth} --width {self.width}"]
        words += [f"--learning-rate {self.learning_rate:g} --seed {self.seed}"]
        return " ".join(words)


def choice_of(told: Any) -> Choice:
    """The choice that a message describes; UsageError, in one line, for anything else."""
    if not isinstance(told, Mapping):
        raise UsageError("a choice is a table of names and numbers")
    known = [field.name for field in dataclasses.fields(Choice)]
    for key in told:
        if key not in known:
            raise nearest("control", str(key), known)
    return Choice(**{key: _checked(key, value) for key, value in told.items()})


def _checked(key: str, value: Any) -> Any:
    if key in NAMED:
        allowed = options()[key]
        if not isinstance(value, str) or value not in allowed:
            raise nearest(key, str(value), allowed)
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) < math.inf:
        raise UsageError(f"{key}={value!r}; expected a number")
    if key == "width":
        if value not in WIDTHS:
            raise UsageError(f"width={value}; expected one of {', '.join(map(str, WIDTHS))}")
        return int(value)
    low, high = RANGES[key]
    whole = isinstance(low, int)
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{key}={value}; expected {kind} from {low} to {high}")
    return int(value) if whole else float(value)


@lru_cache(maxsize=256)
def _named(part: str, name: str) -> Any:
    """The same object each time, so that what was compiled for it is found again."""
    return names.lookup(part, name)
