"""The choices on the page: the parts of one network, and how to train it."""

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
from jcnn.layers import Sequential
from jcnn.names import UsageError

# Names that the page does not offer: they need data, or draw anew in every call.
_EXCLUDED = {"kernel_init": ("lsuv",), "pooling": ("stochastic",)}
NAMED = ("activation", "kernel_init", "normalization", "pooling", "optimizer")
# The range of each number. There are few widths, because each has its own programs.
RANGES = {
    "depth": (1, 40),
    "gain": (0.1, 10.0),
    "learning_rate": (1e-5, 10.0),
    "seed": (0, 2**31 - 1),
}
WIDTHS = (4, 8, 16, 32)


def options() -> dict[str, list[str]]:
    """Return the names that can be chosen, by part."""
    return {
        part: [name for name in names.TABLES[part] if name not in _EXCLUDED.get(part, ())]
        for part in NAMED
    }


@dataclass(frozen=True)
class Choice:
    """A plain CNN of `depth` equal convolutions, its parts by name.

    `gain` multiplies the initial value of every kernel.
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
        """The choice with defaults for everything that a compiled train step does not depend on."""
        return dataclasses.replace(self, kernel_init="zeros", gain=1.0, seed=0, learning_rate=1.0)

    def model(self, input_shape: Sequence[int], outputs: int) -> Sequential:
        """Return the network with its initial weights, in training mode."""
        parts = {name: _named(name, getattr(self, name)) for name in NAMED if name != "optimizer"}
        model = models.plain_cnn(
            input_shape,
            outputs,
            depth=self.depth,
            width=self.width,
            **parts,
            rngs=nnx.Rngs(self.seed),
        )
        if self.gain != 1:
            state = nnx.state(model, nnx.Param)
            nnx.update(model, jax.tree.map(lambda w: w * self.gain if w.ndim > 1 else w, state))
        model.train()
        return model

    def command(self, data: str) -> str:
        """Return the command line that diagnoses the same network on `data`."""
        words = [f"jcnn diagnose plain --data {shlex.quote(data)}"]
        words += [f"--{part.replace('_', '-')} {getattr(self, part)}" for part in NAMED]
        words += [f"--depth {self.depth} --width {self.width}"]
        words += [f"--learning-rate {self.learning_rate:g} --seed {self.seed}"]
        return " ".join(words)


def parse_choice(values: Any) -> Choice:
    """Check a message's values and return the choice; UsageError if one is not valid."""
    if not isinstance(values, Mapping):
        raise UsageError(f"choice={values!r}; expected a table of names and numbers")
    fields = [field.name for field in dataclasses.fields(Choice)]
    for key in values:
        if key not in fields:
            raise names.nearest("control", str(key), fields)
    return Choice(**{key: _checked(key, value) for key, value in values.items()})


def _checked(key: str, value: Any) -> Any:
    if key in NAMED:
        allowed = options()[key]
        if not isinstance(value, str) or value not in allowed:
            raise names.nearest(key, str(value), allowed)
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
    """Return the same object each time, so that its compiled programs are reused."""
    return names.lookup(part, name)
