"""How examples reach the devices: all of them at once, or window by window where they do not fit.

A feed gives the program what it indexes: `Data` of fixed shapes, and rows of indices into it. The
indices that reach a run are the same either way, so its numbers are too.
"""

from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from jcnn.engine.devices import replicate, replicated_shapes, shard_runs
from jcnn.training.run import Data


class Call(NamedTuple):
    """One call's arguments on the devices; `stop` is the step or held-out batch it reaches."""

    batches: Any
    data: Any
    ranges: Any
    stop: int


class Whole:
    """Every example on every device, from the first call to the last."""

    def __init__(self, data: Data, mesh: Mesh) -> None:
        self.shapes = replicated_shapes(mesh, data)
        self._host, self._mesh = data, mesh
        self._data: Data | None = None
        self._batches: Any = None

    def start(self, order: np.ndarray) -> None:
        """Take an epoch's `(runs, steps, batch_size)` indices."""
        if self._data is None:
            self._data = replicate(self._mesh, self._host)
        self._batches = shard_runs(self._mesh, order)

    def train(self, first: int, stop: int) -> Call:
        """Train on steps `first` to `stop`."""
        ranges = replicate(self._mesh, _ranges(first, stop, 0, 0))
        return Call(self._batches, self._data, ranges, stop)

    def evaluate(self, first: int, stop: int) -> Call:
        """Evaluate the held-out batches `first` to `stop`."""
        ranges = replicate(self._mesh, _ranges(0, 0, first, stop))
        return Call(self._batches, self._data, ranges, stop)


class Streamed:
    """A window of the examples at a time, of at most `memory` bytes on each device.

    A quarter of it holds held-out batches, the rest training examples: those that the next steps
    of all runs ask for. A call reaches as far as its window does.

    Raises ValueError where one step does not fit.
    """

    def __init__(self, data: Data, mesh: Mesh, seeds: list[int], batch_size: int, memory: int):
        self._host, self._mesh = data, mesh
        # Runs of one seed see the same batches.
        self._distinct = [seeds.index(seed) for seed in dict.fromkeys(seeds)]
        per_step = len(self._distinct) * batch_size
        example = _bytes(data.inputs) // len(data.inputs)
        held_batch = _bytes(data.held_inputs) // len(data.held_inputs)
        self._held = min(max(memory // 4 // held_batch, 1), len(data.held_inputs))
        self._slots = min(max(memory - self._held * held_batch, 0) // example, len(data.inputs))
        if self._slots < per_step:
            raise ValueError(
                f"data_memory={memory}: a step of {len(self._distinct)} seeds in batches of "
                f"{batch_size} needs {per_step * example + held_batch} bytes; give more, or use "
                "smaller batches or fewer seeds"
            )
        self._steps = (
            len(data.inputs) if self._slots == len(data.inputs) else (self._slots // per_step)
        )
        self._train = self._window(np.zeros(0, np.int64))
        self._heldout = self._held_window(0)
        self.shapes = replicated_shapes(mesh, self._data())
        self._order = np.zeros((0, 0, 0), np.int32)

    def start(self, order: np.ndarray) -> None:
        """Take an epoch's `(runs, steps, batch_size)` indices."""
        self._order = order

    def train(self, first: int, stop: int) -> Call:
        """Train on the steps from `first` on that the window holds, to `stop` at most."""
        stop = min(stop, first + self._steps)
        part = self._order[:, first:stop]
        chosen = np.unique(part[self._distinct])
        self._train = self._window(chosen)
        batches = np.zeros_like(self._order)
        batches[:, first:stop] = np.searchsorted(chosen, part)
        return self._call(batches, _ranges(first, stop, 0, 0), stop)

    def evaluate(self, first: int, stop: int) -> Call:
        """Evaluate the held-out batches from `first` on that the window holds."""
        stop = min(stop, first + self._held)
        self._heldout = self._held_window(first)
        return self._call(np.zeros_like(self._order), _ranges(0, 0, 0, stop - first), stop)

    def _call(self, batches: np.ndarray, ranges: np.ndarray, stop: int) -> Call:
        return Call(
            shard_runs(self._mesh, batches),
            replicate(self._mesh, self._data()),
            replicate(self._mesh, ranges),
            stop,
        )

    def _data(self) -> Data:
        return self._host._replace(**self._train, **self._heldout)

    def _window(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for name in ("inputs", "targets"):
            array = getattr(self._host, name)
            found[name] = np.zeros((self._slots, *array.shape[1:]), array.dtype)
            found[name][: len(chosen)] = array[chosen]
        return found

    def _held_window(self, first: int) -> dict[str, Any]:
        found: dict[str, Any] = {
            # Indices count from the window's start, and so does the border to the test set.
            "validation_batches": np.int32(int(self._host.validation_batches) - first)
        }
        for name in ("held_inputs", "held_targets", "held_weights"):
            array = getattr(self._host, name)
            found[name] = np.zeros((self._held, *array.shape[1:]), array.dtype)
            part = array[first : first + self._held]
            found[name][: len(part)] = part
        return found


def feed_for(
    data: Data, mesh: Mesh, seeds: list[int], batch_size: int, memory: int | None
) -> Whole | Streamed:
    """`Whole` where the data fits `memory` bytes (None: what half a device's memory holds)."""
    if memory is None:
        stats = mesh.devices.flat[0].memory_stats() or {}
        memory = stats.get("bytes_limit", 0) // 2 or None
    size = sum(_bytes(leaf) for leaf in data)
    if memory is None or size <= memory:
        return Whole(data, mesh)
    return Streamed(data, mesh, seeds, batch_size, memory)


def _ranges(first: int, stop: int, held_first: int, held_stop: int) -> np.ndarray:
    return np.array([first, stop, held_first, held_stop], np.int32)


def _bytes(array: Any) -> int:
    return int(np.asarray(array).nbytes)
